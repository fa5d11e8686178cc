"""Tracked clips of held-out speakers, with the videos that they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.data.clips import VIDEO_SUFFIXES, read_clips
from src.data.splits import choose_splits
from src.errors import InputError
from src.face.detection import track_landmarks
from src.face.geometry import inner_lip_area, jaw_width
from src.face.topology import JAW_ENDS, LANDMARK_COUNT, NOSE_TIP
from src.io.audio import SAMPLE_RATE
from src.io.video import read_frames
from src.metrics.aperture import MEASURE_RATE
from src.metrics.blinks import eye_openness

if TYPE_CHECKING:
    from src.metrics.settings import EvaluationSettings

OPEN_EYES = 0.85
"""Fraction of their median openness from which on eyes are open in a portrait."""


@dataclass(frozen=True)
class TrackedClip:
    """A clip as main_prepare_data.py tracked it."""

    name: str
    speaker: str
    video: Path
    landmarks: np.ndarray  # (T, 68, 3) pixels of the video at MEASURE_RATE, NaN without a face
    wav: np.ndarray  # int16 at SAMPLE_RATE
    offset: float  # seconds that the video leads the audio
    synced: bool  # lips and audio belong together


def held_out_clips(
    settings: EvaluationSettings, usable: Callable[[TrackedClip], Any]
) -> Iterator[TrackedClip]:
    """Usable tracked clips of the speakers in the settings, else of ROOT's split test.

    Args:
        usable: whether a clip can be used.

    Raises:
        InputError: a named speaker has no usable clip, or a clip's video is missing.
    """
    root, speakers = settings.root, settings.speakers
    held_out = choose_splits(root, [], [], dict)
    missing = set(speakers or ())
    videos = {
        path.stem: path
        for folder in reversed(settings.videos)
        for path in sorted(folder.rglob("*"), reverse=True)
        if path.suffix.lower() in VIDEO_SUFFIXES
    }
    for path, known in read_clips(root):
        speaker = str(known["speaker"])
        if speakers is None:
            wanted = held_out.split_of(speaker, path.stem) == "test"
        else:
            wanted = speaker in speakers
        if not wanted:
            continue
        clip = TrackedClip(
            path.stem,
            speaker,
            videos.get(path.stem, Path()),
            known["landmarks"].astype(np.float64),
            known["wav"],
            float(known["offset"]),
            bool(known["synced"]),
        )
        if not usable(clip):
            continue
        missing.discard(speaker)
        if path.stem not in videos:
            folders = " ".join(map(str, settings.videos)) or "none given"
            raise InputError(f"--videos {folders}: no video of the tracked clip {path.stem}")
        yield clip
    if missing:
        raise InputError(f"{root / 'clips'}: no usable clip of {' '.join(sorted(missing))}")


def frames_at(clip: TrackedClip, indices: Iterable[int]) -> Iterator[np.ndarray]:
    """Frames (H, W, 3) of a clip's video in the order of their ascending indices.

    Raises:
        InputError: the video has fewer frames than were tracked.
    """
    indices = iter(indices)
    index = next(indices, None)
    for number, frame in enumerate(read_frames(clip.video, MEASURE_RATE)):
        if index is None:
            return
        if number == index:
            yield frame
            index = next(indices, None)
    if index is not None:
        raise InputError(f"{clip.video}: has no frame {index}, though the tracked clip has")


def detected_landmarks(frames: Iterable[np.ndarray]) -> np.ndarray:
    """Landmarks (T, 68, 3) of the face in BGR frames, NaN where none is found."""
    absent = np.full((LANDMARK_COUNT, 3), np.nan)
    track = [absent if points is None else points for points in track_landmarks(frames)]
    return np.array(track).reshape(-1, LANDMARK_COUNT, 3)


def portrait_frame(landmarks: np.ndarray) -> int:
    """Index of the frame of a clip that serves as its portrait.

    Of the half that is most frontal, with open eyes, it is the one of least inner-mouth area.

    Args:
        landmarks: (T, 68, 3) in pixels, NaN where no face was found.

    Raises:
        ValueError: no frame shows a face.
    """
    detected = np.flatnonzero(np.isfinite(landmarks).all((1, 2)))
    if not len(detected):
        raise ValueError("no frame shows a face")
    faces = landmarks[detected]
    width = jaw_width(faces[..., :2])
    to_right, to_left = (
        np.linalg.norm(faces[:, NOSE_TIP, :2] - faces[:, end, :2], axis=-1) for end in JAW_ENDS
    )
    asymmetry = np.abs(to_right - to_left) / width
    openness = eye_openness(faces)
    fit = (asymmetry <= np.median(asymmetry)) & (openness >= OPEN_EYES * np.median(openness))
    if not fit.any():
        fit[:] = True
    area = np.where(fit, np.abs(inner_lip_area(faces)) / width**2, np.inf)
    return int(detected[area.argmin()])


def overlap(frames: int, samples: int, offset: float) -> tuple[slice, slice]:
    """The frames and the samples of a clip that belong together.

    Args:
        frames: of the video, at ``MEASURE_RATE``.
        samples: of the audio.
        offset: seconds that the video leads the audio.

    Returns:
        A slice of the frames and one of the samples, of equal duration.
    """
    lead = round(offset * MEASURE_RATE)
    hop = round(SAMPLE_RATE / MEASURE_RATE)
    first_frame, first_sample = max(0, -lead), max(0, lead) * hop
    count = max(0, min(frames - first_frame, (samples - first_sample) // hop))
    return (
        slice(first_frame, first_frame + count),
        slice(first_sample, first_sample + count * hop),
    )
