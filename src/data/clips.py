"""Videos of one talking face become landmarks and sound in step.

A clip is tracked once at ``VIDEO_RATE`` and kept as found; cleaning, registration and resampling
to the rate of the audio features are cheap and done when dumps are made.
"""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.errors import InputError
from src.face.detection import track_landmarks
from src.face.topology import OUTER_EYE_CORNERS
from src.io.audio import SAMPLE_RATE, ffmpeg_path, read_audio
from src.speech.loudness import SILENCE, loudness

VIDEO_RATE = 25.0  # frames a second of the tracked clips (the paper's data)
LONGEST_SIDE = 640  # pixels; larger frames only cost time
VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".mpg", ".avi", ".mkv", ".webm"})
SHORTEST_CLIP = 1.5  # seconds
LEAST_TRACKED = 0.8  # share of frames with a face, below which a clip is refused
CROWD_EVERY = 25  # frames between two that are searched for more than one face
SURE_FACE = 0.6  # score of a box that counts as a face there
MOST_CROWDED = 0.2  # share of the frames looked at that may show several people
LONGEST_JUMP = 1.0  # distances of the eyes that a face may go in a frame; a lively one goes 0.6
SMOOTHING = (5, 2)  # Savitzky-Golay window (frames of VIDEO_RATE) and order: detector jitter


@dataclass(frozen=True)
class ClipSource:
    """A video and what is known of it."""

    path: Path
    speaker: str
    offset: float = 0.0  # seconds that the picture leads the sound
    synced: bool = True  # lips and sound belong together


def find_clips(folder: Path) -> list[ClipSource]:
    """Clips of a folder: those of its ``manifest.csv``, else every video in it and below.

    The manifest's columns are file and, where they are known, speaker, speech_synced (0 or 1) and
    av_offset_frames25. Without a speaker there, a video belongs to the folder below ``folder`` that
    it lies in. Where it lies in none, its name up to the first ``-`` or ``_`` tells the speaker, if
    all such videos have names of that kind; else all of them are one speaker's, ``folder``'s.

    Raises:
        InputError: the manifest is not such a table, or names a file that is absent.
    """
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
            raise InputError(f"{manifest}: names {source.path.name}, which is not there")
    return sources


def _speakers_of(folder: Path, paths: list[Path]) -> dict[Path, str]:
    """Speakers by where videos lie and what they are called, see `find_clips`."""
    loose = [path for path in paths if path.parent == folder]
    prefixes = {path: re.split("[-_]", path.stem)[0] for path in loose}
    named = all(prefix and prefix != path.stem for path, prefix in prefixes.items())
    return {
        path: path.relative_to(folder).parts[0]
        if path.parent != folder
        else prefixes[path]
        if named
        else folder.resolve().name
        for path in paths
    }


def read_frames(path: Path, rate: float = VIDEO_RATE) -> Iterator[np.ndarray]:
    """Decode a video to uint8 BGR frames (H, W, 3) at a constant rate, one at a time."""
    import cv2
    import ffmpeg

    from thirdparty.quiet import quiet_stderr

    with quiet_stderr():  # what is wrong with the file is said below, in one line
        capture = cv2.VideoCapture(str(path))
    width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    capture.release()
    if width <= 0 or height <= 0:
        raise InputError(f"{path}: not a video that can be read")
    scale = min(1.0, LONGEST_SIDE / max(width, height))
    width, height = round(width * scale), round(height * scale)
    process = (
        ffmpeg.input(f"file:{path}")
        .video.filter("fps", rate)
        .filter("scale", width, height)
        .output("pipe:", format="rawvideo", pix_fmt="bgr24")
        .global_args("-nostdin", "-loglevel", "fatal")
        .run_async(cmd=ffmpeg_path(), pipe_stdout=True)
    )
    try:
        while len(data := process.stdout.read(width * height * 3)) == width * height * 3:
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
    finally:
        process.kill()  # first, or it complains of the pipe that is shut
        process.stdout.close()
        process.wait()


def track_clip(source: ClipSource, detector: str = "mediapipe") -> dict[str, np.ndarray]:
    """Track the face and decode the sound of a clip: what its file in ``<root_dir>/clips`` holds.

    Landmarks (T, 68, 3) float32 in pixels at ``VIDEO_RATE``, NaN where no face was seen; wav int16,
    empty where there is no sound; speaker; synced and offset as the source has them; detector;
    people, the share of the frames looked at in which there is more than one face; unreadable,
    what is wrong with a video that cannot be read, else empty.

    Args:
        detector: one of `src.face.detectors.DETECTORS`.
    """
    frames, crowded, unreadable = [], [], ""

    def watched() -> Iterator[np.ndarray]:
        for index, frame in enumerate(read_frames(source.path)):
            if index % CROWD_EVERY == 0:
                crowded.append(count_people(frame) > 1)
            yield frame

    try:
        unseen = np.full((68, 3), np.nan)
        tracked = track_landmarks(watched(), detector)
        frames = [unseen if points is None else points for points in tracked]
        if not frames:
            unreadable = "no frames in it"
    except InputError as error:
        unreadable = str(error).removeprefix(f"{source.path}: ")
    try:
        wav = read_audio(source.path)
    except InputError:
        wav = np.zeros(0, np.int16)
    return {
        "landmarks": np.array(frames, np.float32).reshape(-1, 68, 3),
        "wav": wav,
        "speaker": np.array(source.speaker),
        "synced": np.array(source.synced and len(wav) > 0),
        "offset": np.array(source.offset),
        "detector": np.array(detector),
        "people": np.array(np.mean(crowded) if crowded else 0.0),
        "unreadable": np.array(unreadable),
    }


def count_people(frame: np.ndarray) -> int:
    """Faces in a frame (H, W, 3) that are at least half as large as the largest."""
    from thirdparty.face_mesh import find_faces

    boxes = find_faces(np.ascontiguousarray(frame), SURE_FACE)
    people: list = []
    for box in sorted(boxes, key=lambda box: -box.width):
        middle = np.array([box.x + box.width / 2, box.y + box.height / 2])
        # Two detectors look, and put their boxes round the same face in two ways.
        if all(np.abs(middle - other).max() > size / 2 for other, size in people):
            people.append((middle, box.width))
    return sum(size >= people[0][1] / 2 for _, size in people)


def problem_of(clip: dict[str, np.ndarray]) -> str:
    """Why a clip of ``<root_dir>/clips`` cannot be learned from; empty where it can."""
    if problem := problem_of_face(clip):
        return problem
    wav = clip["wav"]
    if not len(wav):
        return "no sound"
    if loudness(wav) < SILENCE:
        return "silence"
    if len(wav) / SAMPLE_RATE < SHORTEST_CLIP:
        return f"too little sound: {len(wav) / SAMPLE_RATE:.1f} s"
    return ""


def problem_of_face(clip: dict[str, np.ndarray]) -> str:
    """Why a clip's pictures cannot be learned from; empty where they can."""
    if clip.get("unreadable", ""):
        return str(clip["unreadable"])
    landmarks = clip["landmarks"]
    seconds = len(landmarks) / VIDEO_RATE
    if seconds < SHORTEST_CLIP:
        return f"too short: {seconds:.1f} s, at least {SHORTEST_CLIP:g}"
    seen = np.isfinite(landmarks).all((1, 2))
    if seen.mean() < LEAST_TRACKED:
        return f"too few frames with a face: {seen.mean():.0%}, at least {LEAST_TRACKED:.0%}"
    if (people := float(clip.get("people", 0.0))) > MOST_CROWDED:
        return f"several people in {people:.0%} of the frames"
    known = landmarks[seen]
    # The eyes' outer corners: a steady length and a steady place.
    right, left = (known[:, corner, :2] for corner in OUTER_EYE_CORNERS)
    middle = 0.5 * (right + left)
    width = np.linalg.norm(left - right, axis=-1)
    jumps = np.linalg.norm(np.diff(middle, axis=0), axis=-1) / np.median(width)
    gaps = np.diff(np.flatnonzero(seen))
    if len(jumps) and (jumps / gaps).max() > LONGEST_JUMP:
        return "the face jumps: a cut, or another person"
    return ""


def read_clip(path: Path) -> dict[str, np.ndarray]:
    """A file of ``<root_dir>/clips``.

    Raises:
        InputError: it is not one.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            clip = {key: data[key] for key in data.files}
        for key in ("landmarks", "wav", "speaker", "synced", "offset"):
            clip[key]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        raise InputError(f"{path}: not a tracked clip; delete it") from None
    return clip
