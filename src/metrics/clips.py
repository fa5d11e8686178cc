"""Tracked clips of held-out speakers, with the videos that they come from."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.data.clips import face_detected, find_clips, read_tracked_clips
from src.data.splits import choose_splits
from src.errors import InputError
from src.face.geometry import inner_lip_area, jaw_width
from src.face.topology import JAW_ENDS, NOSE_TIP
from src.io.video import read_frames
from src.metrics.aperture import MEASURE_RATE
from src.metrics.blinks import eye_openness

if TYPE_CHECKING:
    from src.metrics.settings import EvaluationSettings

OPEN_EYES = 0.85
"""Fraction of their median openness from which on eyes are open in a portrait."""


@dataclass(frozen=True)
class TrackedClip:
    """A clip as main_prepare_data.py tracked it; a face is found in at least one frame."""

    name: str
    video: Path
    landmarks: np.ndarray  # (T, 68, 3) pixels of the video at MEASURE_RATE, NaN without a face
    wav: np.ndarray  # int16 at SAMPLE_RATE
    offset: float  # seconds that the video leads the audio

    def frames_at(self, indices: list[int]) -> Iterator[np.ndarray]:
        """Frames (H, W, 3) of the video at ascending indices.

        Raises:
            InputError: the video has fewer frames than were tracked.
        """
        wanted, number, last = set(indices), -1, indices[-1]
        frames = itertools.islice(read_frames(self.video, MEASURE_RATE), last + 1)
        for number, frame in enumerate(frames):
            if number in wanted:
                yield frame
        if number < last:
            raise InputError(f"{self.video}: has no frame {last}, though the tracked clip has")

    def portrait(self) -> tuple[np.ndarray, np.ndarray]:
        """The frame (H, W, 3) that serves as a portrait, and its landmarks (68, 3)."""
        index = portrait_frame(self.landmarks)
        (image,) = self.frames_at([index])
        return image.copy(), self.landmarks[index]


def is_chosen(root: Path, names: tuple[str, ...] | None) -> Callable[..., bool]:
    """Function of a speaker and a clip: whether the names, if given, else the split test has it."""
    if names is not None:
        return lambda speaker, *_clip: speaker in names
    held_out = choose_splits(root)
    return lambda *own: held_out.split_of(*own) == "test"


def held_out_clips(
    settings: EvaluationSettings, usable: Callable[[dict[str, np.ndarray]], Any]
) -> Iterator[TrackedClip]:
    """Tracked clips of the speakers in the settings, else of ROOT's split test.

    Args:
        usable: whether a clip, as `read_tracked_clips` returns it, can be used.

    Raises:
        InputError: a named speaker has no usable clip, or a clip's video is missing.
    """
    root, missing = settings.root, set(settings.speakers or ())
    chosen = is_chosen(root, settings.speakers)
    videos = {source.path.stem: source.path for source in find_clips(*settings.videos)}
    for path, known in read_tracked_clips(root):
        speaker, landmarks = str(known["speaker"]), known["landmarks"].astype(np.float64)
        if not (chosen(speaker, path.stem) and face_detected(landmarks).any() and usable(known)):
            continue
        missing.discard(speaker)
        if path.stem not in videos:
            folders = " ".join(map(str, settings.videos)) or "none given"
            raise InputError(f"--videos {folders}: no video of the tracked clip {path.stem}")
        yield TrackedClip(
            path.stem, videos[path.stem], landmarks, known["wav"], float(known["offset"])
        )
    if missing:
        raise InputError(f"{root / 'clips'}: no usable clip of {' '.join(sorted(missing))}")


def portrait_frame(landmarks: np.ndarray) -> int:
    """Index of the frame of a clip that serves as its portrait.

    It has the least inner-mouth area among the more frontal half of the frames with open eyes.

    Args:
        landmarks: (T, 68, 3) in pixels, NaN where no face was found.
    """
    indices = np.flatnonzero(face_detected(landmarks))
    faces = landmarks[indices]
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
    return int(indices[area.argmin()])
