"""The paper's measures of a split as a table, a JSON and a plot.

`judge` gives plain dicts of numbers; the rest writes them down.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from src.data import dumps
from src.data.synthesis import read_utterance
from src.errors import InputError
from src.io.audio import FRAME_RATE
from src.metrics import landmark_measures as lm
from src.metrics import predictions
from src.metrics.aperture import MEASURE_RATE, aperture_correlation, signed_aperture
from src.metrics.open_shut import interpolated_extremes, open_shut_auc
from src.metrics.predictions import REFERENCES, Example, Factors

if TYPE_CHECKING:
    from src.models.loading import MotionModels

METHODS = ("network", "played", *REFERENCES)
LIP_COLUMNS = ("D-LL", "D-VL", "D-A", "correlation", "AUC")
HEAD_COLUMNS = ("D-L", "D-V", "D-Rot", "D-Pos")
UNITS = {"D-Rot": "°", "correlation": "", "AUC": ""}
PLOTTED_SECONDS = 6.0
PLOTTED_CLIPS = 4
COLOURS = {
    **{"true": "black", "network": "tab:orange", "played": "tab:blue"},
    **{"static": "tab:gray", "loudness": "tab:green", "mean": "tab:purple"},
}

_log = logging.getLogger(__name__)


@dataclass
class Judged:
    """All figures of some splits; the names of dicts are those of the columns and of `METHODS`."""

    splits: tuple[str, ...]
    lips: dict[str, dict[str, float]] = field(default_factory=dict)  # method -> measure
    heads: dict[str, dict[str, float]] = field(default_factory=dict)
    motion: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    speakers: dict[str, dict[str, float]] = field(default_factory=dict)  # source -> figure
    counts: dict[str, int] = field(default_factory=dict)
    clips: list[dict] = field(default_factory=list)  # every clip's own measures
    gaps: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)  # clip -> method -> (T,)


def judge(
    root: Path,
    splits: tuple[str, ...],
    lip_dump: str,
    head_dump: str,
    networks: MotionModels,
    factors: Factors,
    most_synthetic: int,
    device,
) -> Judged:
    """Measure both dumps of some splits together; one of the two may be absent.

    Raises:
        InputError: both are, or one is there for some of the splits only, is not a dump, or has
            no training clips beside it.
    """
    judged = Judged(splits)
    for name, posed in ((lip_dump, False), (head_dump, True)):
        paths = {split: dumps.dump_paths(root, split, name)[0] for split in splits}
        absent = [path for path in paths.values() if not path.is_file()]
        for path in absent:
            _log.warning("%s: absent", path)
        if absent and len(absent) < len(paths):
            raise InputError(f"{absent[0]}: absent, while the dump of the other split is there")
        if not absent:
            part = _judge_heads if posed else _judge_lips
            clips = [clip for split in splits for clip in dumps.read_clips(root, split, name)]
            synthetic = {path.stem for path in (root / "synthetic").glob("*.npz")}
            train = dumps.read_clips(root, "train", name)
            references = predictions.fit_references(train, root / "analysed", posed, synthetic)
            if not posed:
                clips = _some_synthetic(clips, synthetic, most_synthetic)
            found = predictions.examples(clips, networks, root / "analysed", posed)
            part(judged, root, list(found), references, networks, factors, device)
            if posed:
                _test_speakers(judged, root, [*train, *clips], networks, factors, device)
    if not judged.clips:
        raise InputError(
            f"{root / 'dump'}: no clips in the {' and '.join(splits)} dumps of {lip_dump} and "
            f"{head_dump}; main_prepare_data.py makes them"
        )
    return judged


def _some_synthetic(clips: list, synthetic: set[str], most: int) -> list:
    """Clips with at most so many synthetic sentences of each voice."""
    kept, spoken = [], {}
    for clip in clips:
        if predictions.stem_of(clip.name) in synthetic:
            voice = predictions.speaker_of(clip.name)
            spoken[voice] = spoken.get(voice, 0) + 1
            if spoken[voice] > most:
                continue
        kept.append(clip)
    return kept


def _tracks(
    example: Example, references, networks: MotionModels, factors: Factors, posed: bool, device
) -> dict[str, np.ndarray]:
    """(T, 68, 3) by method."""
    tracks = {
        name: predictions.moved_by_networks(example, networks, known, posed, device)
        for name, known in (("network", None), ("played", factors))
    }
    return tracks | predictions.moved_by_references(example, references)


def _judge_lips(
    judged: Judged, root: Path, found: list[Example], references, networks, factors, device
) -> None:
    real, phones_of = [], {}
    for example in found:
        path = root / "synthetic" / f"{example.name}.npz"
        if path.is_file():
            phones_of[example.name] = read_utterance(path).phones
        else:
            real.append(example.name)
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in METHODS}
    opened, shut = ({name: [] for name in METHODS} for _ in range(2))
    for example in found:
        tracks = _tracks(example, references, networks, factors, False, device)
        if phones := phones_of.get(example.name):
            for name, track in tracks.items():
                # Faces at rest differ in their gap; what counts is what the networks add.
                gap = signed_aperture(track) - signed_aperture(example.still[None])
                wide, least = interpolated_extremes(gap, FRAME_RATE, phones)
                opened[name] += wide
                shut[name] += least
        # What synthetic lips do was written from phones; they count where nothing better is there.
        if example.name in phones_of and real:
            continue
        true = signed_aperture(example.true)
        measured = {
            name: lm.lip_measures(track, example.true)
            | {"correlation": _correlation(signed_aperture(track), true)}
            for name, track in tracks.items()
        }
        judged.clips.append(
            {"name": example.name, "speaker": example.speaker, "of": "lips"} | measured
        )
        if len(judged.gaps) < PLOTTED_CLIPS:
            shown = {"true": true} | {n: signed_aperture(tracks[n]) for n in ("played", "loudness")}
            judged.gaps[example.name] = shown
        for name, figures in measured.items():
            rows[name].append(figures)
    for name, figures in rows.items():
        if figures:
            judged.lips[name] = _means(figures) | {"AUC": open_shut_auc(opened[name], shut[name])}
    judged.counts["lip clips"] = len(rows["network"])
    judged.counts["sentences"] = len(phones_of)
    judged.counts["open vowels"] = len(opened["network"])
    judged.counts["p b m"] = len(shut["network"])


def _correlation(made: np.ndarray, true: np.ndarray) -> float:
    """Aperture correlation of tracks at `FRAME_RATE`; 0 for lips that do not move."""
    times = np.arange(int(len(true) * MEASURE_RATE / FRAME_RATE)) * FRAME_RATE / MEASURE_RATE
    frames = np.arange(len(true))
    both = (np.interp(times, frames, gap) for gap in (made, true))
    return float(np.nan_to_num(aperture_correlation(*both)))


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    """Mean over clips; a measure that no clip has is NaN."""
    columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    return {
        key: float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
        for key, values in columns.items()
    }


def _judge_heads(
    judged: Judged, root: Path, found: list[Example], references, networks, factors, device
) -> None:
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in METHODS}
    motions: dict[str, list[lm.HeadMotion]] = {name: [] for name in ("true", "network", "played")}
    for example in found:
        tracks = _tracks(example, references, networks, factors, True, device)
        measured = {
            name: lm.head_measures(track, example.true, example.still)
            for name, track in tracks.items()
        }
        for name, figures in measured.items():
            rows[name].append(figures)
        moved = {
            name: lm.head_motion({"true": example.true, **tracks}[name], example.still, FRAME_RATE)
            for name in motions
        }
        for name, motion in moved.items():
            motions[name].append(motion)
        judged.clips.append(
            {"name": example.name, "speaker": example.speaker, "of": "head"}
            | measured
            | {f"motion of {name}": vars(motion) for name, motion in moved.items()}
        )
    judged.counts["head clips"] = len(found)
    if not found:
        return
    judged.heads = {name: _means(figures) for name, figures in rows.items()}
    judged.motion = {
        name: {kind: _means([getattr(one, kind) for one in many]) for kind in ("spread", "speed")}
        for name, many in motions.items()
    }


def _test_speakers(
    judged: Judged, root: Path, clips: list, networks: MotionModels, factors: Factors, device
) -> None:
    """The same sound with different voices: those of the clips, and those AutoVC learned from."""
    longest = max(
        (clip for clip in clips if not predictions.is_copy(clip.name)),
        key=lambda clip: len(clip.features),
        default=None,
    )
    if longest is None:
        return
    (example,) = predictions.examples([longest], networks, root / "analysed", True)
    sources = {
        "clips": [
            (predictions.speaker_of(clip.name), clip.embedding)
            for clip in clips
            if not predictions.is_copy(clip.name)
        ]
    }
    if (path := root / "dump" / "voices.npz").is_file():
        voices = dumps.read_voices(path)
        many = {
            s for s, n in zip(*np.unique(voices.speakers, return_counts=True), strict=True) if n > 1
        }
        sources["recordings"] = [
            (str(speaker), embedding)
            for speaker, embedding in zip(voices.speakers, voices.embeddings, strict=True)
            if speaker in many
        ]
    for source, voices_there in sources.items():
        found = predictions.speaker_test(example, networks, voices_there, factors.position, device)
        if found:
            judged.speakers[source] = found


def markdown(judged: Judged, weights: str, factors: Factors) -> str:
    """All figures as Markdown that reads well as plain text too."""
    played = f"lips x {factors.lip_x:g} and y {factors.lip_y:g}, head {factors.position:g}"
    lines = [f"Landmarks of {' and '.join(judged.splits)}, {weights}. *played*: {played}.", ""]
    counts = judged.counts
    if judged.lips:
        spoken = ""
        if counts["sentences"]:
            spoken = (
                f"; AUC: {counts['sentences']} sentences, {counts['open vowels']} open vowels, "
                f"{counts['p b m']} p b m"
            )
        lines += [f"Lips, {counts['lip clips']} clips without head motion{spoken}:", ""]
        lines += _table(judged.lips, LIP_COLUMNS)
    if judged.heads:
        lines += [f"Whole face, {counts['head clips']} clips with head motion:", ""]
        lines += _table(judged.heads, HEAD_COLUMNS)
        lines += ["Motion of the head (nose in % of the face's width, angles in degrees):", ""]
        header = [f"{kind} of {name}" for kind in ("spread", "speed") for name in lm.MOTIONS]
        cells = [
            [name, *(f"{judged.motion[name][kind][m]:.2f}" for kind, m in _motion_keys())]
            for name in judged.motion
        ]
        true = judged.motion["true"]
        for name in ("network", "played"):
            ratios = [
                judged.motion[name][kind][m] / max(true[kind][m], 1e-9)
                for kind, m in _motion_keys()
            ]
            cells.append([f"{name} / true", *(f"{ratio:.2f}" for ratio in ratios)])
        lines += aligned(["", *header], cells)
    if judged.speakers:
        lines += ["One sound played with many voices, same person against different people:", ""]
        header = ["", "voices", "people", "nose apart, %", "AUC", "statistics apart, factor", "AUC"]
        cells = []
        for source, one in judged.speakers.items():
            cells.append(
                [
                    source,
                    str(one["voices"]),
                    str(one["speakers"]),
                    f"{one['course_same']:.2f} / {one['course_others']:.2f}",
                    f"{one['course_auc']:.3f}",
                    f"{one['statistics_same']:.2f} / {one['statistics_others']:.2f}",
                    f"{one['statistics_auc']:.3f}",
                ]
            )
        lines += aligned(header, cells)
    return "\n".join(lines).rstrip() + "\n"


def _motion_keys() -> list[tuple[str, str]]:
    return [(kind, name) for kind in ("spread", "speed") for name in lm.MOTIONS]


def _table(rows: dict[str, dict[str, float]], columns: tuple[str, ...]) -> list[str]:
    header = ["", *(f"{name} {UNITS.get(name, '%')}".strip() for name in columns)]
    cells = [
        [
            method,
            *(_number(rows[method][name], 2 if UNITS.get(name, "%") else 3) for name in columns),
        ]
        for method in rows
    ]
    return aligned(header, cells)


def _number(value: float, places: int) -> str:
    return f"{value:.{places}f}" if np.isfinite(value) else "-"


def aligned(header: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table whose columns stand under each other, and a blank line."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * max(width, 3) for width in widths]
    return [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (header, rule, *rows)
    ] + [""]


def as_json(judged: Judged, weights: str, factors: Factors) -> str:
    """All figures, of each clip too; NaN becomes null."""
    contents = {key: value for key, value in vars(judged).items() if key != "gaps"}
    return json.dumps(
        without_nan({"weights": weights, "played": vars(factors), **contents}), indent=1
    )


def without_nan(value):
    """The same nested value with None for every NaN: JSON has none."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if value != value else value


def plot(judged: Judged, path: Path) -> None:
    """Lip gaps of some clips, the measures as shares of the static face's, and head motion."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = max(len(judged.gaps), 1)
    figure = Figure(figsize=(15, 2.2 * max(rows, 2) + 1), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subfigures(1, 2, width_ratios=(3, 2))
    for axes, (name, gaps) in zip(
        np.ravel(left.subplots(rows, 1, squeeze=False)), judged.gaps.items(), strict=False
    ):
        _plot_gaps(axes, name, gaps)
    bars, motion = right.subplots(2, 1)
    measured = [
        (name, {m: row[name] for m, row in table.items()})
        for table, names in ((judged.lips, LIP_COLUMNS[:3]), (judged.heads, HEAD_COLUMNS))
        for name in names
        if table
    ]
    for index, method in enumerate(METHODS):
        shares = [row[method] / row["static"] for _, row in measured]
        places = np.arange(len(measured)) + 0.16 * (index - 2)
        bars.bar(places, shares, 0.15, label=method, color=COLOURS[method])
    bars.set_xticks(range(len(measured)), [name for name, _ in measured])
    bars.set_title("error over that of the static face", fontsize=10)
    bars.legend(fontsize=8, ncols=5)
    bars.margins(y=0.15)
    for index, name in enumerate(judged.motion):
        values = [judged.motion[name][kind][m] for kind, m in _motion_keys()]
        true = [judged.motion["true"][kind][m] for kind, m in _motion_keys()]
        shares = np.divide(values, np.maximum(true, 1e-9))
        places = np.arange(len(shares)) + 0.25 * (index - 1)
        motion.bar(places, shares, 0.24, label=name, color=COLOURS[name])
    labels = [f"{name}\n{kind}" for kind, name in _motion_keys()]
    motion.set_xticks(range(len(labels)), labels, fontsize=8)
    motion.set_title("motion of the head over the true one", fontsize=10)
    if judged.motion:
        motion.legend(fontsize=8, ncols=3)
        motion.margins(y=0.15)
    dumps.replace_file(path, lambda file: figure.savefig(file, format="png", dpi=100))


def _plot_gaps(axes, name: str, gaps: dict[str, np.ndarray]) -> None:
    shown = round(PLOTTED_SECONDS * FRAME_RATE)
    for method, gap in gaps.items():
        part = gap[:shown]
        axes.plot(np.arange(len(part)) / FRAME_RATE, part, color=COLOURS[method], label=method)
    axes.set_title(f"{name}: gap of the lips over the distance of the eyes", fontsize=10)
    axes.legend(fontsize=8, loc="upper right")


def write(judged: Judged, folder: Path, weights: str, factors: Factors) -> str:
    """Write ``landmarks.md``, ``.json`` and ``.png`` into a folder; returns the first's text."""
    text = markdown(judged, weights, factors)
    dumps.replace_file(folder / "landmarks.md", lambda file: file.write(text.encode()))
    figures = as_json(judged, weights, factors)
    dumps.replace_file(folder / "landmarks.json", lambda file: file.write(figures.encode()))
    plot(judged, folder / "landmarks.png")
    return text
