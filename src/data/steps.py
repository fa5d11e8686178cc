"""Steps of the data preparation: from videos and recordings to dumps."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from src.command_line import progress
from src.data import analysis, clips, image_shards, synthesis, tracking
from src.data.landmark_dumps import choose_converter, write_dumps
from src.data.offsets import least_correlation, measure_offset
from src.data.reference_faces import measure_reference_faces
from src.data.settings import Preparation
from src.data.splits import HeldOut, choose_splits
from src.data.workers import load_networks, parallel_map
from src.errors import InputError
from src.face import detectors
from src.io.files import read_text, write_arrays
from thirdparty import Unavailable

_log = logging.getLogger(__name__)


def run(settings: Preparation) -> None:
    """Run one step, or all.

    Raises:
        InputError: something that the settings name cannot be used.
    """
    STEPS[settings.step](settings)


def prepare_all(settings: Preparation) -> None:
    """Prepare everything that the trainings read from videos; of a shard, only the clips."""
    settings = dataclasses.replace(settings, dump_file_name=None)
    if settings.whole:
        choose_converter(settings)  # a wrong checkpoint is an error before hours of work
    process_clips(settings, ("track", "offset", "analyse"))
    if settings.whole:
        clips.write_report(settings.root_dir, held_out(settings))
        for step in ("faces", "analyse", "content", "speaker", "pictures"):
            STEPS[step](settings)


def measure_offsets(settings: Preparation) -> None:
    """Measure the audio-visual offsets of clips."""
    process_clips(settings, ("offset",))
    if settings.whole:
        clips.write_report(settings.root_dir, held_out(settings))


def synthesise(settings: Preparation) -> None:
    """Synthesise speech with known phone times."""
    if not settings.synthetic:
        raise InputError("--synthetic: name voices and their minutes, such as rms=20")
    lines = read_text(settings.text).splitlines() if settings.text else []
    texts = [line for line in lines if line.strip()]
    synthesis.synthesise(settings.synthetic, texts, settings.root_dir)


def analyse(settings: Preparation) -> None:
    """Analyse the audio of synthetic speech and of tracked clips."""
    analysis.analyse_synthetic(settings.root_dir, settings.jobs)
    process_clips(dataclasses.replace(settings, videos=()), ("analyse",))


STEPS: dict[str, Callable[[Preparation], None]] = {
    "all": prepare_all,
    "voices": lambda s: analysis.analyse_recordings(s.speech, s.root_dir, s.jobs),
    "clips": lambda s: process_clips(s, ("track",)),
    "offsets": measure_offsets,
    "synthetic": synthesise,
    "faces": lambda s: measure_reference_faces(s.root_dir, held_out(s)),
    "analyse": analyse,
    "content": lambda s: write_dumps(s, held_out(s), head_motion=False),
    "speaker": lambda s: write_dumps(s, held_out(s), head_motion=True),
    "pictures": lambda s: image_shards.pack_faces(s, held_out(s)),
}


def held_out(settings: Preparation) -> HeldOut:
    """Speakers for validation and tests."""
    root = settings.root_dir
    speakers = functools.partial(clips.speakers_to_draw_from, root)
    return choose_splits(root, settings.val, settings.test, speakers)


def process_clips(settings: Preparation, stages: Sequence[str]) -> None:
    """Take every clip through the stages that it has not been through.

    Clips are those of ``settings.videos``; without any, those that are tracked already.

    Args:
        stages: of track, offset and analyse.

    Raises:
        InputError: there are no videos to track, two clips have the same name, or the detector
            cannot run.
    """
    folder = settings.root_dir / "clips"
    jobs = [
        (folder / f"{source.path.stem}.npz", source)
        for source in clips.find_clips(*settings.videos)
    ]
    if not jobs and "track" in stages:
        where = " ".join(map(str, settings.videos)) or "none given"
        raise InputError(f"--videos {where}: no videos to track")
    _require_unique_names(jobs)
    jobs = jobs or [(path, None) for path in sorted(folder.glob("[!.]*.npz"))]
    if not settings.whole:
        _log.info("shard %s; run without --shard when all are done", settings.shard)
    jobs = jobs[settings.part]
    detector = detectors.candidates(settings.landmark_detector)[0]
    process = functools.partial(_process_clip, stages=stages, detector=detector)
    done = parallel_map(process, jobs, settings.jobs)
    try:
        for number, line in enumerate(progress(done, len(jobs), "clips"), 1):
            if line:
                _log.info("%d/%d %s", number, len(jobs), line)
    except Unavailable as problem:
        raise InputError(f"the {detector} landmark detector cannot run: {problem}") from None


def _require_unique_names(jobs: list[tuple[Path, clips.ClipSource]]) -> None:
    known: dict[Path, Path] = {}
    for target, source in jobs:
        other = known.setdefault(target, source.path)
        if other != source.path:
            raise InputError(f"{other} and {source.path}: clips need different names; rename one")
        if target.is_file():
            speaker = str(clips.read_clip(target)["speaker"])
            if speaker != source.speaker:
                raise InputError(
                    f"{source.path}: {target} is a clip of {speaker}, not {source.speaker}; "
                    "rename one"
                )


def _process_clip(
    job: tuple[Path, clips.ClipSource | None], stages: Sequence[str], detector: str
) -> str:
    """Run the missing stages of a clip; return a line for the log, empty if none were missing.

    Args:
        job: file in ``<root_dir>/clips``, and the video, None for a clip that is tracked already.
    """
    target, source = job
    clip, log = None, []
    if target.is_file():
        clip = clips.read_clip(target)
        if source and str(clip.get("detector", detector)) != detector:
            clip = None
    if clip is None:
        clip = tracking.track_clip(source, detector)
        log.append(f"{len(clip['landmarks'])} frames")
    problem = clips.clip_problem(clip)
    if not problem:
        try:
            log += _analyse_clip(clip, target, stages)
        except (ValueError, InputError) as error:
            reason = " ".join(str(error).splitlines())
            clip["unreadable"] = np.array(f"cannot be analysed: {reason}")
            problem = clips.clip_problem(clip)
            log.append("analysis failed")
    if log:
        write_arrays(target, **clip)
    if problem and log:
        log.append(f"left out: {problem}")
    return f"{target.stem}: {', '.join(log)}" if log else ""


def _analyse_clip(clip: dict[str, np.ndarray], target: Path, stages: Sequence[str]) -> list[str]:
    """Add the offset to a clip, write the analysis of its audio; return what was done."""
    log = []
    if "offset" in stages and "offset_correlation" not in clip:
        landmarks = tracking.clean_landmarks(clip["landmarks"])
        offset = measure_offset(landmarks, clip["wav"], load_networks())
        synced = offset.correlation >= least_correlation(len(landmarks) / clips.VIDEO_RATE)
        clip |= {
            "offset": np.array(offset.frames / clips.VIDEO_RATE if synced else 0.0),
            "synced": np.array(bool(clip["synced"]) and synced),
            "offset_frames": np.array(offset.frames),
            "offset_correlation": np.array(offset.correlation),
        }
        log.append(
            f"video leads by {offset.frames:+d} frames (correlation {offset.correlation:.2f})"
        )
    if "analyse" in stages:
        _, wav = tracking.align(clip)
        if analysis.analyse_audio(wav, target.parents[1] / "analysed" / target.name):
            log.append("analysed")
    return log
