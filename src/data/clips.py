"""Clips: videos of one talking face, and the files in ``<root_dir>/clips`` that they become."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.data.splits import SPLITS, HeldOut
from src.errors import InputError
from src.face.topology import OUTER_EYE_CORNERS
from src.io.audio import SAMPLE_RATE
from src.io.files import read_arrays, write_text
from src.speech.loudness import SILENCE, loudness

VIDEO_RATE = 25.0  # frames per second of the tracked clips (the paper's data)
VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".mpg", ".avi", ".mkv", ".webm"})
SHORTEST_CLIP = 1.5  # seconds
LEAST_TRACKED = 0.8  # proportion of frames with a face, below which a clip is left out
MOST_CROWDED = 0.2  # proportion of the examined frames that may show several people
LARGEST_JUMP = 1.0  # eye distances that a face may move between frames; a lively one moves 0.6

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClipSource:
    """A video and what is known about it."""

    path: Path
    speaker: str
    offset: float = 0.0  # seconds by which the video leads the audio
    synced: bool = True  # lips and audio belong together


def find_clips(*folders: Path) -> list[ClipSource]:
    """Clips of folders: those of ``manifest.csv``, else every video in the folder and below.

    The manifest's columns are file and, if known, speaker, speech_synced (0 or 1) and
    av_offset_frames25. Without a speaker there, the speaker is the subfolder that a video lies in.
    For videos directly in the folder it is the file name up to the first ``-`` or ``_``, if all of
    them have such a name; else all of them belong to one speaker, named like the folder.

    Raises:
        InputError: the manifest is not such a table, or names a file that is absent.
    """
    return [source for folder in folders for source in _clips_of(folder)]


def _clips_of(folder: Path) -> list[ClipSource]:
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES)
        return [ClipSource(path, speaker) for path, speaker in _speakers_of(folder, paths).items()]
    try:
        with manifest.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        paths = [folder / row["file"] for row in rows]
        guessed = _speakers_of(folder, paths)
        sources = [
            ClipSource(
                path,
                row.get("speaker") or guessed[path],
                float(row.get("av_offset_frames25") or 0) / VIDEO_RATE,
                (row.get("speech_synced") or "1") == "1",
            )
            for path, row in zip(paths, rows, strict=True)
        ]
    except KeyError:
        raise InputError(f"{manifest}: no column called file") from None
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise InputError(f"{manifest}: not a table of clips ({error})") from None
    for source in sources:
        if not source.path.is_file():
            raise InputError(f"{manifest}: names {source.path.name}, which does not exist")
    return sources


def _speakers_of(folder: Path, paths: list[Path]) -> dict[Path, str]:
    """Speakers by the videos' folders and names, see `find_clips`."""
    prefixes = {path: re.split("[-_]", path.stem)[0] for path in paths if path.parent == folder}
    if not all(prefix and prefix != path.stem for path, prefix in prefixes.items()):
        prefixes = dict.fromkeys(prefixes, folder.resolve().name)
    return {path: prefixes.get(path) or path.relative_to(folder).parts[0] for path in paths}


def read_clip(path: Path) -> dict[str, np.ndarray]:
    """Read a file of ``<root_dir>/clips``, see `tracking.track_clip`.

    Raises:
        InputError: it is not a tracked clip.
    """
    try:
        clip = read_arrays(path)
    except InputError:
        clip = {}
    if not {"landmarks", "wav", "speaker", "synced", "offset"} <= set(clip):
        raise InputError(f"{path}: not a tracked clip; delete it")
    return clip


def read_clips(root: Path) -> Iterator[tuple[Path, dict[str, np.ndarray]]]:
    """All tracked clips with their paths."""
    for path in sorted((root / "clips").glob("[!.]*.npz")):
        yield path, read_clip(path)


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
    if clip.get("unreadable", ""):
        return str(clip["unreadable"])
    landmarks = clip["landmarks"]
    seconds = len(landmarks) / VIDEO_RATE
    if seconds < SHORTEST_CLIP:
        return f"too short: {seconds:.1f} s, at least {SHORTEST_CLIP:g}"
    detected = np.isfinite(landmarks).all((1, 2))
    if detected.mean() < LEAST_TRACKED:
        return f"too few frames with a face: {detected.mean():.0%}, at least {LEAST_TRACKED:.0%}"
    if (people := float(clip.get("people", 0.0))) > MOST_CROWDED:
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
    usable, synced = {}, {}
    for path, clip in read_clips(root):
        if not clip_problem(clip):
            usable[path.stem] = str(clip["speaker"])
            if clip["synced"]:
                synced[path.stem] = str(clip["speaker"])
    return synced if len(set(synced.values())) >= 3 else usable


def write_report(root: Path, held_out: HeldOut) -> None:
    """Write ``<root>/clips.csv``, a row for each clip, and log which were left out and why.

    Raises:
        InputError: there are no clips.
    """
    rows = [_report_row(path.stem, clip, held_out) for path, clip in read_clips(root)]
    if not rows:
        raise InputError(f"{root / 'clips'}: no tracked clips; main_prepare_data.py --videos DIR")
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(rows[0]))
    table.writeheader()
    table.writerows(rows)
    write_text(root / "clips.csv", text.getvalue())
    used = [row for row in rows if not row["problem"]]
    left_out = [row for row in rows if row["problem"]]
    for row in left_out:
        _log.warning("%s: left out: %s", row["clip"], row["problem"])
    reasons = Counter(row["problem"].split(":")[0] for row in left_out)
    counts = Counter(row["split"] for row in used)
    _log.info(
        "%d clips of %d speakers (%s), %d of them in sync; %d left out%s; see %s",
        len(used),
        len({row["speaker"] for row in used}),
        ", ".join(f"{split} {counts[split]}" for split in SPLITS),
        sum(row["speech_synced"] for row in used),
        len(left_out),
        "".join(f", {reason} {count}" for reason, count in reasons.most_common()),
        root / "clips.csv",
    )


def _report_row(name: str, clip: dict[str, np.ndarray], held_out: HeldOut) -> dict[str, object]:
    problem, speaker = clip_problem(clip), str(clip["speaker"])
    detected = np.isfinite(clip["landmarks"]).all((1, 2))
    correlation = float(clip.get("offset_correlation", np.nan))
    return {
        "clip": name,
        "speaker": speaker,
        "split": "" if problem else held_out.split_of(speaker, name),
        "seconds": f"{len(detected) / VIDEO_RATE:.2f}",
        "face_in": f"{detected.mean() if len(detected) else 0.0:.3f}",
        "av_offset_frames25": clip.get("offset_frames", ""),
        "offset_corr": f"{correlation:.3f}" if np.isfinite(correlation) else "",
        "speech_synced": "" if problem else int(clip["synced"]),
        "problem": problem,
    }
