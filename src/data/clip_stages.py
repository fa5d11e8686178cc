"""Videos become tracked clips, one by one: faces, how far out of step, what is heard in them."""

from __future__ import annotations

import csv
import io
import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.command_line import progress
from src.data import analysis, dumps, tracks
from src.data import clips as clips_module
from src.data.passages import clip_in_step
from src.data.splits import SPLITS, HeldOut
from src.data.workers import in_parallel, networks_of
from src.errors import InputError
from src.face.detectors import DetectorUnavailable

CLIP_STAGES = ("track", "offset", "analyse")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClipWork:
    """What is to be done to a clip in a process of its own."""

    target: Path  # <root_dir>/clips/NAME.npz
    source: clips_module.ClipSource | None  # None for one that is tracked already
    stages: tuple[str, ...]  # of CLIP_STAGES
    detector: str
    weights: Path  # folder of the checkpoints that tell offsets
    analysed: Path  # folder


def work_on_clips(
    sources: list[clips_module.ClipSource],
    root: Path,
    stages: tuple[str, ...],
    processes: int,
    *,
    detector: str = "mediapipe",
    weights: Path = Path("examples/ckpt"),
    shard: tuple[int, int] = (1, 1),
) -> None:
    """Take every clip through the stages that it has not been through; bad ones are named.

    Args:
        sources: videos; without any, the clips that are tracked already.
        shard: which of how many equal parts of the clips, counted from 1.

    Raises:
        InputError: two videos would become the same file, or the detector cannot run.
    """
    folder = root / "clips"
    jobs = [(folder / f"{source.path.stem}.npz", source) for source in sources]
    _refuse_same_names(jobs)
    jobs = jobs or [(path, None) for path in sorted(folder.glob("*.npz"))]
    part, parts = shard
    if parts > 1:
        _log.info("part %d of %d; when all are done, a run without --shard joins them", *shard)
    work = [
        ClipWork(target, source, stages, detector, weights, root / "analysed")
        for target, source in jobs[part - 1 :: parts]
    ]
    done = in_parallel(_work_on_clip, work, processes)
    try:
        for number, line in enumerate(progress(done, len(work), "clips"), 1):
            if line:
                _log.info("%d/%d %s", number, len(work), line)
    except DetectorUnavailable as problem:
        raise InputError(str(problem)) from None


def _refuse_same_names(jobs: list[tuple[Path, clips_module.ClipSource]]) -> None:
    known: dict[Path, Path] = {}
    for target, source in jobs:
        other = known.setdefault(target, source.path)
        if other != source.path:
            raise InputError(f"{other} and {source.path}: clips need different names; rename one")
        if target.is_file():
            speaker = str(clips_module.read_clip(target)["speaker"])
            if speaker != source.speaker:
                raise InputError(
                    f"{source.path}: {target} is a clip of {speaker}, not {source.speaker}; "
                    "rename one"
                )


def _work_on_clip(work: ClipWork) -> str:
    """Do what is left to do; returns a line about what was done, empty for nothing."""
    clip, said = None, []
    if work.target.is_file():
        clip = clips_module.read_clip(work.target)
        if work.source and str(clip.get("detector", work.detector)) != work.detector:
            clip = None
    if clip is None:
        clip = clips_module.track_clip(work.source, work.detector)
        said.append(f"{len(clip['landmarks'])} frames")
    problem = clips_module.problem_of(clip)
    if not problem:
        try:
            said += _listen(clip, work)
        except (ValueError, InputError) as error:
            reason = " ".join(str(error).splitlines())
            clip["unreadable"] = np.array(f"cannot be analysed: {reason}")
            problem = clips_module.problem_of(clip)
            said.append("analysed in vain")
    if said:
        dumps.save_npz(work.target, **clip)
    if problem and said:
        said.append(f"left out: {problem}")
    return f"{work.target.stem}: {', '.join(said)}" if said else ""


def _listen(clip: dict[str, np.ndarray], work: ClipWork) -> list[str]:
    """The offset goes into the clip, spectrum and embedding into a file; says what was done."""
    said = []
    if "offset" in work.stages and "offset_correlation" not in clip:
        clip |= _measured_offset(clip, work.weights)
        said.append(
            f"picture leads by {clip['offset_frames']:+d} frames"
            f" (correlation {clip['offset_correlation']:.2f})"
        )
    if "analyse" in work.stages:
        _, wav = clip_in_step(clip)
        target = work.analysed / work.target.name
        if not analysis.is_of(target, wav):
            analysis.analyse_sound(wav, target)
            said.append("analysed")
    return said


def _measured_offset(clip: dict[str, np.ndarray], weights: Path) -> dict[str, np.ndarray]:
    """The entries of a clip that say how far it is out of step, by its lips."""
    from src.data import sync

    networks = networks_of(weights)
    track = tracks.clean_track(clip["landmarks"])
    features = sync.heard_features(clip["wav"], networks)
    found = sync.estimate_offset(sync.lip_gap(track), sync.predicted_gap(features, track, networks))
    seconds = len(track) / clips_module.VIDEO_RATE
    in_sync = found.correlation >= sync.least_correlation(seconds)
    return {
        "offset": np.array(found.frames / clips_module.VIDEO_RATE if in_sync else 0.0),
        "synced": np.array(bool(clip["synced"]) and in_sync),
        "offset_frames": np.array(found.frames),
        "offset_correlation": np.array(found.correlation),
    }


def speakers_to_draw_from(root: Path) -> dict[str, str]:
    """Speakers, by the clips' names, of whom some may be held out.

    They are those who have clips in sync, so that no split of the content branch is empty; with
    fewer than three of them, all who have a clip that can be learned from.
    """
    known, in_sync = {}, {}
    for path in sorted((root / "clips").glob("*.npz")):
        clip = clips_module.read_clip(path)
        if not clips_module.problem_of(clip):
            known[path.stem] = str(clip["speaker"])
            if clip["synced"]:
                in_sync[path.stem] = str(clip["speaker"])
    return in_sync if len(set(in_sync.values())) >= 3 else known


def write_report(root: Path, held_out: HeldOut) -> None:
    """Write ``<root_dir>/clips.csv``, a row for each clip, and tell what was left out and why."""
    rows, reasons = [], Counter()
    for path in sorted((root / "clips").glob("*.npz")):
        clip = clips_module.read_clip(path)
        problem = clips_module.problem_of(clip)
        speaker = str(clip["speaker"])
        seen = np.isfinite(clip["landmarks"]).all((1, 2))
        corr = float(clip.get("offset_correlation", np.nan))
        rows.append(
            {
                "clip": path.stem,
                "speaker": speaker,
                "split": "" if problem else held_out.split_of(speaker, path.stem),
                "seconds": f"{len(seen) / clips_module.VIDEO_RATE:.2f}",
                "face_in": f"{seen.mean() if len(seen) else 0.0:.3f}",
                "av_offset_frames25": clip.get("offset_frames", ""),
                "offset_corr": f"{corr:.3f}" if np.isfinite(corr) else "",
                "speech_synced": "" if problem else int(clip["synced"]),
                "problem": problem,
            }
        )
        if problem:
            reasons[problem.split(":")[0]] += 1
            _log.warning("%s: left out: %s", path.stem, problem)
    if not rows:
        raise InputError(f"{root / 'clips'}: no tracked clips; main_prepare_data.py --videos DIR")
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(rows[0]))
    table.writeheader()
    table.writerows(rows)
    dumps.replace_file(root / "clips.csv", lambda file: file.write(text.getvalue().encode()))
    good = [row for row in rows if not row["problem"]]
    counts = Counter(row["split"] for row in good)
    _log.info(
        "%d clips of %d speakers (%s), %d of them in sync; %d left out%s; see %s",
        len(good),
        len({row["speaker"] for row in good}),
        ", ".join(f"{split} {counts[split]}" for split in SPLITS),
        sum(row["speech_synced"] for row in good),
        len(rows) - len(good),
        "".join(f", {reason} {count}" for reason, count in reasons.most_common()),
        root / "clips.csv",
    )
