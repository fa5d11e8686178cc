"""Steps of the data preparation: from videos and recordings to dumps."""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import logging
from collections.abc import Callable
from pathlib import Path

from src.command_line import progress
from src.data import analysis, clips, offsets, packed_faces, synthesis, tracking
from src.data.landmark_dumps import target_embedding, write_dumps
from src.data.reference_faces import measure_reference_faces
from src.data.settings import Preparation
from src.data.splits import choose_splits
from src.data.workers import parallel_map
from src.errors import InputError
from src.face import detectors
from src.io.files import read_arrays, write_arrays, write_text
from thirdparty import Unavailable

REPORT_COLUMNS = ("clip", "speaker", "split", "av_offset_frames25", "offset_corr", "speech_synced")

_log = logging.getLogger(__name__)


def prepare_all(settings: Preparation) -> None:
    """Prepare everything that the trainings read from videos; of a shard, only the clips."""
    if settings.part.step > 1:
        process_clips(settings)
        return
    target_embedding(settings)  # a wrong checkpoint is an error before hours of work
    settings = dataclasses.replace(settings, dump_file_name=None)
    for step in ("clips", "faces", "content", "speaker", "pictures"):
        STEPS[step](settings)


def process_clips(settings: Preparation) -> None:
    """Track and analyse the videos that are not yet in ``<root>/clips``; list all clips.

    Raises:
        InputError: there are no videos, two have the same name, or the detector cannot run.
    """
    sources = clips.find_clips(*settings.videos)
    if not sources:
        where = " ".join(map(str, settings.videos)) or "none given"
        raise InputError(f"--videos {where}: no videos to track")
    sources = sources[settings.part]
    detector = detectors.candidates(settings.landmark_detector)[0]
    process = functools.partial(_process_clip, root=settings.root_dir, detector=detector)
    try:
        for _ in progress(parallel_map(process, sources, settings.jobs), len(sources), "clips"):
            pass
    except Unavailable as problem:
        raise InputError(f"the {detector} landmark detector cannot run: {problem}") from None
    if settings.part.step == 1:
        write_report(settings)


def _process_clip(source: clips.ClipSource, root: Path, detector: str) -> None:
    target = root / "clips" / f"{source.path.stem}.npz"
    clip = read_arrays(target) if target.is_file() else None
    if clip and str(clip["speaker"]) != source.speaker:
        raise InputError(
            f"{source.path}: {target} is a clip of {clip['speaker']}, not {source.speaker}; "
            "rename one"
        )
    if not clip or str(clip["detector"]) != detector:
        clip = tracking.track_clip(source, detector)
        if not clips.clip_problem(clip):
            clip |= offsets.measure_synchrony(clip)
        write_arrays(target, **clip)
    if not clips.clip_problem(clip):
        _, wav = tracking.align(clip)
        analysis.analyse(wav, root / "analysed" / target.name)


def write_report(settings: Preparation) -> None:
    """Write ``<root>/clips.csv``, a row for each clip, with the reason where it is left out."""
    root = settings.root_dir
    held_out = choose_splits(root, settings.val, settings.test)
    rows = []
    for path, clip in clips.read_tracked_clips(root):
        row = {"clip": path.stem, "speaker": str(clip["speaker"])}
        row["problem"] = clips.clip_problem(clip)
        if not row["problem"]:
            row["split"] = held_out.split_of(row["speaker"], path.stem)
            row["av_offset_frames25"] = round(float(clip["offset"]) * clips.VIDEO_RATE)
            row["offset_corr"] = f"{clip['offset_correlation']:.3f}"
            row["speech_synced"] = int(clip["synced"])
        rows.append(row)
    text = io.StringIO()
    table = csv.DictWriter(text, (*REPORT_COLUMNS, "problem"))
    table.writeheader()
    table.writerows(rows)
    write_text(root / "clips.csv", text.getvalue())
    left_out = sum(bool(row["problem"]) for row in rows)
    _log.info("%d clips, %d left out; see %s", len(rows), left_out, root / "clips.csv")


STEPS: dict[str, Callable[[Preparation], None]] = {
    "all": prepare_all,
    "voices": analysis.analyse_recordings,
    "synthetic": synthesis.synthesise,
    "clips": process_clips,
    "faces": measure_reference_faces,
    "content": functools.partial(write_dumps, head_motion=False),
    "speaker": functools.partial(write_dumps, head_motion=True),
    "pictures": packed_faces.pack_faces,
}
