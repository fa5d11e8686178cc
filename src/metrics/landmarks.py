"""Evaluation of predicted landmarks on the clips of held-out splits, by the paper's metrics."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.data import dumps
from src.data.synthesis import Phones, read_utterance
from src.errors import InputError
from src.io.audio import FRAME_RATE
from src.metrics import predictions
from src.metrics.aperture import MEASURE_RATE, resample, signed_aperture
from src.metrics.baselines import fit_baselines
from src.metrics.cases import HeadMotion, HeadTrack, LipGap, LipMotion
from src.metrics.predictions import Example
from src.metrics.registry import measure, numbers, pool
from src.metrics.report import Report, metrics_of, plot_bars, plot_curves, ratios
from src.metrics.speaker_separation import SpeakerTracks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from src.metrics.settings import EvaluationSettings
    from src.models.loading import MotionModels
    from src.motion.settings import MotionSettings

TRUTH, NETWORK, ANIMATED = "ground truth", "network", "animated"
MAX_VOICES = 4  # of a speaker in the separation of speakers
SEPARATION_SECONDS = 8.0  # of the recording that moves the head there
PLOTTED_SECONDS = 6.0
PLOTTED_CLIPS = 4

_log = logging.getLogger(__name__)


def evaluate_landmarks(
    settings: EvaluationSettings, models: MotionModels, motion: MotionSettings, weights: str
) -> Report:
    """Evaluate networks and baselines on both dumps; one of the two may be absent.

    Args:
        motion: amplitudes of the animated landmarks.
        weights: names the networks in the report.

    Raises:
        InputError: both dumps are absent, or one is there for some of the splits only, is not a
            dump, or has no training clips beside it.
    """
    root, splits = settings.root, tuple(dict.fromkeys(settings.splits))
    amplitudes = f"lips x {motion.amp_lip_x:g} and y {motion.amp_lip_y:g}, head {motion.amp_pos:g}"
    report = Report({"weights": weights, "settings": vars(motion), "splits": splits, "clips": []})
    names = " and ".join(splits)
    report.paragraphs.append(f"Landmarks of {names}, {weights}. *{ANIMATED}*: {amplitudes}.")
    sentences = {path.stem: path for path in (root / "synthetic").glob("*.npz")}
    gaps: dict[str, dict[str, np.ndarray]] = {}
    for dump, posed in ((settings.lip_dump, False), (settings.head_dump, True)):
        clips = read_splits(root, splits, dump)
        if clips is None:
            continue
        training = dumps.read_clips(root, "train", dump)
        baselines = fit_baselines(training, root / "analysed", posed, set(sentences))
        if not posed:
            clips = limit_sentences(clips, set(sentences), settings.max_sentences)
        examples = []
        for example in predictions.read_examples(clips, models, root / "analysed", posed):
            raw, animated = predictions.predict_landmarks(example, models, motion, posed)
            tracks = {TRUTH: example.reference, NETWORK: raw, ANIMATED: animated}
            tracks |= baselines.predict(example)
            examples.append((example, tracks))
        if posed:
            evaluate_heads(report, examples)
            evaluate_speakers(report, root, [*training, *clips], models, motion.amp_pos)
        else:
            phones_of = {
                example.name: read_utterance(sentences[example.name]).phones
                for example, _ in examples
                if example.name in sentences
            }
            gaps = evaluate_lips(report, examples, phones_of)
    if not report.figures["clips"]:
        raise InputError(
            f"{root / 'dump'}: no clips in the {names} dumps of {settings.lip_dump} and "
            f"{settings.head_dump}; main_prepare_data.py writes them"
        )
    report.draw = lambda figure: draw(figure, report.figures, gaps)
    return report


def read_splits(root: Path, splits: tuple[str, ...], dump: str) -> list[dumps.Clip] | None:
    """The clips of a dump's splits together; None where all are absent.

    Raises:
        InputError: some are absent.
    """
    paths = [dumps.dump_paths(root, split, dump)[0] for split in splits]
    absent = [path for path in paths if not path.is_file()]
    for path in absent:
        _log.warning("%s: absent", path)
    if not absent:
        return [clip for split in splits for clip in dumps.read_clips(root, split, dump)]
    if len(absent) < len(paths):
        raise InputError(f"{absent[0]}: absent, while the dump of the other split is there")
    return None


def limit_sentences(clips: list[dumps.Clip], sentences: set[str], limit: int) -> list[dumps.Clip]:
    """Clips with at most ``limit`` synthetic sentences of each voice."""
    kept, counts = [], Counter()
    for clip in clips:
        voice = predictions.speaker_name(clip.name)
        counts[voice] += predictions.clip_name(clip.name) in sentences
        if counts[voice] <= limit:
            kept.append(clip)
    return kept


Tracks = dict[str, np.ndarray]
"""Landmarks (T, 68, 3), or gaps (T,), by method."""


def evaluate_lips(
    report: Report, examples: list[tuple[Example, Tracks]], phones_of: dict[str, Phones]
) -> dict[str, Tracks]:
    """Add the lips' metrics to a report; returns the gaps of the clips to be plotted.

    Lips of synthetic speech were written from its phones, so they are compared with the predicted
    ones only where there is no recorded clip.
    """
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    gaps: dict[str, Tracks] = {}
    for example, tracks in examples:
        phones = phones_of.get(example.name)
        compared = not phones or len(phones_of) == len(examples)
        reference = signed_aperture(example.reference)
        frames = int(len(reference) * MEASURE_RATE / FRAME_RATE)
        reference = resample(reference, FRAME_RATE, frames) if compared else None
        # Gaps of faces at rest differ; the phones' metric is of what the networks add.
        rest = signed_aperture(example.still[None]) if phones else 0.0
        for method, track in tracks.items():
            gap = signed_aperture(track) - rest
            values = measure(LipGap(gap, FRAME_RATE, reference, phones))
            if compared:
                values |= measure(LipMotion(track, example.reference))
            rows[method].append(values)
        if compared:
            add_clip(report, example, "lips", rows)
            gaps[example.name] = {method: signed_aperture(tracks[method]) for method in tracks}
    spoken = [row["AUC"] for row in rows[NETWORK] if "AUC" in row]
    opened, shut = (sum(len(phones[kind]) for phones in spoken) for kind in (0, 1))
    counts = {"lip clips": len(gaps), "sentences": len(spoken), "open vowels": opened}
    report.figures |= {**counts, "p b m": shut}
    report.figures["lips"] = {method: pool(values) for method, values in rows.items()}
    title = f"Lips, {len(gaps)} clips without head motion"
    if spoken:
        title += f"; AUC: {len(spoken)} sentences, {opened} open vowels, {shut} p b m"
    report.add_table(title, report.figures["lips"].items(), (LipMotion, LipGap))
    return gaps


def evaluate_heads(report: Report, examples: list[tuple[Example, Tracks]]) -> None:
    """Add the metrics of landmarks with head motion to a report."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for example, tracks in examples:
        for method, track in tracks.items():
            values = measure(HeadMotion(track, example.reference, example.still))
            rows[method].append(values | measure(HeadTrack(track, example.still, FRAME_RATE)))
        add_clip(report, example, "head", rows)
    heads = {method: pool(values) for method, values in rows.items()}
    report.figures |= {"head clips": len(examples), "heads": heads}
    title = f"Whole face, {len(examples)} clips with head motion"
    report.add_table(title, heads.items(), (HeadMotion,))
    relative = {
        f"{method} / {TRUTH}": ratios(heads[method], heads[TRUTH])
        for method in (NETWORK, ANIMATED)
        if heads
    }
    title = "Motion of the head (nose in % of the face's width, angles in degrees)"
    report.add_table(title, (heads | relative).items(), (HeadTrack,))


def add_clip(report: Report, example: Example, part: str, rows: dict[str, list[dict]]) -> None:
    """Add the values of a clip, the last ones of each method, to a report's figures."""
    values = {method: numbers(values[-1]) for method, values in rows.items()}
    clip = {"name": example.name, "speaker": example.speaker, "of": part}
    report.figures["clips"].append(clip | values)


def evaluate_speakers(
    report: Report, root: Path, clips: list[dumps.Clip], models: MotionModels, amp_pos: float
) -> None:
    """Add the separation of speakers: of the clips, and of the recordings that AutoVC learns from.

    The longest clip's features move the head with every speaker embedding.
    """
    clips = [clip for clip in clips if not predictions.is_augmented(clip.name)]
    longest = max(clips, key=lambda clip: len(clip.features))
    (example,) = predictions.read_examples([longest], models, root / "analysed", True)
    example = replace(example, content=example.content[: round(SEPARATION_SECONDS * FRAME_RATE)])
    sources = {"clips": [(predictions.speaker_name(clip.name), clip.embedding) for clip in clips]}
    if (path := root / "dump" / "voices.npz").is_file():
        known = dumps.read_voices(path)
        counts = Counter(known.speakers)
        pairs = zip(known.speakers, known.embeddings, strict=True)
        sources["recordings"] = [pair for pair in pairs if counts[pair[0]] > 1]
    rows = {}
    for source, voices in sources.items():
        counts, speakers, tracks = Counter(), [], []
        for speaker, embedding in voices:
            counts[speaker] += 1
            if counts[speaker] <= MAX_VOICES:
                voice = replace(example, embedding=embedding)
                moved = example.still + amp_pos * predictions.head_displacement(voice, models)
                tracks.append(HeadTrack(moved, example.still, FRAME_RATE))
                speakers.append(speaker)
        if len(counts) > 1 and max(counts.values()) > 1:  # there are pairs of both kinds
            values = measure(SpeakerTracks(tracks, speakers))
            rows[source] = {"voices": len(tracks), "speakers": len(counts), **values}
    report.figures["speakers"] = rows
    title = "Head motion from one recording with the speaker embeddings of many voices"
    labelled = [
        ((source, str(row["voices"]), str(row["speakers"])), row) for source, row in rows.items()
    ]
    report.add_table(title, labelled, (SpeakerTracks,), ("", "voices", "speakers"))


def draw(figure: Figure, figures: dict[str, Any], gaps: dict[str, Tracks]) -> None:
    """Draw the lip gaps of some clips, errors over those of the static face, and head motion."""
    rows = min(max(len(gaps), 1), PLOTTED_CLIPS)
    figure.set_size_inches(15, 2.2 * max(rows, 2) + 1)
    left, right = figure.subfigures(1, 2, width_ratios=(3, 2))
    panels = left.subplots(rows, 1, squeeze=False)[:, 0]
    for axes, (name, curves) in zip(panels, gaps.items(), strict=False):
        title = f"{name}: gap of the lips over the distance of the eyes"
        length = round(PLOTTED_SECONDS * FRAME_RATE)
        shown = {method: curves[method][:length] for method in (TRUTH, ANIMATED, "loudness")}
        plot_curves(axes, title, shown, FRAME_RATE)
    lips, heads = figures.get("lips", {}), figures.get("heads", {})
    values = {method: lips.get(method, {}) | heads.get(method, {}) for method in lips or heads}
    errors, motion = right.subplots(2, 1)
    names = [name for name in metrics_of(LipMotion, HeadMotion) if name in values["static"]]
    methods = [method for method in values if method != TRUTH]
    relative = {method: ratios(values[method], values["static"]) for method in methods}
    plot_bars(errors, "error over that of the static face", relative, names)
    names = [name for name in metrics_of(HeadTrack) if name in values["static"]]
    relative = {method: ratios(values[method], values[TRUTH]) for method in (NETWORK, ANIMATED)}
    plot_bars(motion, "motion of the head over the ground truth's", relative, names)
