"""Clips: videos of one talking face, and the files in ``<root_dir>/clips`` that they become."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.errors import InputError
from src.face.topology import OUTER_EYE_CORNERS
from src.io.audio import SAMPLE_RATE
from src.io.files import read_arrays, read_text
from src.speech.loudness import SILENCE, loudness

VIDEO_RATE = 25.0  # frames per second of the tracked clips (the paper's data)
VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".mpg", ".avi", ".mkv", ".webm"})
SHORTEST_CLIP = 1.5  # seconds
LEAST_TRACKED = 0.8  # proportion of frames with a face, below which a clip is left out
MOST_CROWDED = 0.2  # proportion of the examined frames that may show several people
LARGEST_JUMP = 1.0  # eye distances that a face may move between frames; a lively one moves 0.6


@dataclass(frozen=True)
class ClipSource:
    """A video and what is known about it."""

    path: Path
    speaker: str
    synced: bool = True  # lips and audio belong together


def find_clips(*folders: Path) -> list[ClipSource]:
    """Clips of folders: those of ``manifest.csv``, else every video in the folder and below.

    The manifest's columns are file and, if known, speaker and speech_synced (0 or 1). Without a
    speaker there, the speaker is the subfolder that a video lies in. For videos directly in the
    folder it is the file name up to the first ``-`` or ``_``, if all of them have such a name; else
    all of them belong to one speaker, named like the folder.

    Raises:
        InputError: the manifest has no column file or names an absent one, or two clips have the
            same name.
    """
    sources = [source for folder in folders for source in _clips_of(folder)]
    known: dict[str, Path] = {}
    for source in sources:
        other = known.setdefault(source.path.stem, source.path)
        if other != source.path:
            raise InputError(f"{other} and {source.path}: clips need different names; rename one")
    return sources


def _clips_of(folder: Path) -> list[ClipSource]:
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES)
        return [ClipSource(path, speaker) for path, speaker in _speakers_of(folder, paths).items()]
    rows = list(csv.DictReader(read_text(manifest).splitlines()))
    if not all(row.get("file") for row in rows):
        raise InputError(f"{manifest}: no column called file, or a row without one")
    paths = [folder / row["file"] for row in rows]
    if missing := [path.name for path in paths if not path.is_file()]:
        raise InputError(f"{manifest}: names {missing[0]}, which does not exist")
    speakers = _speakers_of(folder, paths)
    return [
        ClipSource(
            path, row.get("speaker") or speakers[path], (row.get("speech_synced") or "1") == "1"
        )
        for path, row in zip(paths, rows, strict=True)
    ]


def _speakers_of(folder: Path, paths: list[Path]) -> dict[Path, str]:
    """Speakers by the videos' folders and names, see `find_clips`."""
    prefixes = {path: re.split("[-_]", path.stem)[0] for path in paths if path.parent == folder}
    if not all(prefix and prefix != path.stem for path, prefix in prefixes.items()):
        prefixes = dict.fromkeys(prefixes, folder.resolve().name)
    return {path: prefixes.get(path) or path.relative_to(folder).parts[0] for path in paths}


def read_tracked_clips(root: Path) -> Iterator[tuple[Path, dict[str, np.ndarray]]]:
    """All tracked clips (see `tracking.track_clip`) with their paths."""
    for path in sorted((root / "clips").glob("[!.]*.npz")):
        yield path, read_arrays(path)


def face_detected(landmarks: np.ndarray) -> np.ndarray:
    """Whether a face was detected in each frame (T,) of landmarks (T, 68, 3)."""
    return np.isfinite(landmarks).all((1, 2))


def clip_problem(clip: dict[str, np.ndarray]) -> str:
    """Why a tracked clip is left out of training, empty if it is not."""
    if problem := face_problem(clip):
        return problem
    wav = clip["wav"]
    if not len(wav):
        return "no audio"
    if loudness(wav) < SILENCE:
        return "silence"
    if len(wav) / SAMPLE_RATE < SHORTEST_CLIP:
        return f"too little audio: {len(wav) / SAMPLE_RATE:.1f} s"
    return ""


def face_problem(clip: dict[str, np.ndarray]) -> str:
    """Why the frames of a tracked clip are left out of training, empty if they are not."""
    if unreadable := str(clip["unreadable"]):
        return unreadable
    landmarks = clip["landmarks"]
    seconds = len(landmarks) / VIDEO_RATE
    if seconds < SHORTEST_CLIP:
        return f"too short: {seconds:.1f} s, at least {SHORTEST_CLIP:g}"
    detected = face_detected(landmarks)
    if detected.mean() < LEAST_TRACKED:
        return f"too few frames with a face: {detected.mean():.0%}, at least {LEAST_TRACKED:.0%}"
    if (people := float(clip["people"])) > MOST_CROWDED:
        return f"several people in {people:.0%} of the frames"
    # The line between the outer corners of the eyes has a steady length and position.
    right, left = (landmarks[detected, corner, :2] for corner in OUTER_EYE_CORNERS)
    distance = np.median(np.linalg.norm(left - right, axis=-1))
    jumps = np.linalg.norm(np.diff(0.5 * (right + left), axis=0), axis=-1) / distance
    gaps = np.diff(np.flatnonzero(detected))
    if len(jumps) and (jumps / gaps).max() > LARGEST_JUMP:
        return "the face jumps: a cut, or another person"
    return ""


def speakers_to_draw_from(root: Path) -> dict[str, str]:
    """Speakers who may be held out, by the names of their clips.

    Those with clips in sync, so that no split of the content branch is empty; if they are fewer
    than three, all with a usable clip.
    """
    speakers, synced = {}, {}
    for path, clip in read_tracked_clips(root):
        if not clip_problem(clip):
            speakers[path.stem] = str(clip["speaker"])
            if clip["synced"]:
                synced[path.stem] = speakers[path.stem]
    return synced if len(set(synced.values())) >= 3 else speakers
