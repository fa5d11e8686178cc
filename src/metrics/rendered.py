"""What a finished video shows: the face is found again in its frames and measured.

Nothing here knows how the video was made, so renderers, weights and real clips are judged alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.face.geometry import inner_lip_area, jaw_width
from src.face.topology import (
    EYE_CORNERS,
    EYELID_PAIRS,
    JAW_ENDS,
    LANDMARK_COUNT,
    NOSE_TIP,
    OUTER_EYE_CORNERS,
)
from src.io.audio import SAMPLE_RATE
from src.metrics.aperture import MEASURE_RATE

# A blink is a dip of the eyes' openness below this share of its median, no longer than that. A
# blink leaves 0.1 to 0.45 of the open eye in tracked clips, up to 0.57 in a rendered portrait with
# glasses; a look downwards leaves 0.65.
BLINK_DEPTH = 0.6
LONGEST_BLINK = 0.8  # seconds
# Eyes at least this share of their median openness apart are open in a portrait.
OPEN_EYES = 0.85
QUIETEST = 10.0  # RMS of int16 samples below which all sound counts as silence


@dataclass(frozen=True)
class Motion:
    """How much a face moves apart from its lips."""

    seconds: float
    position: float  # deviation of the tip of the nose, in percent of the jaw's width
    roll: float  # deviation of the angle of the line between the eyes, in degrees
    blinks: int


def redetect(path: Path, rate: float = MEASURE_RATE) -> np.ndarray:
    """The landmarks of the face in a video, from its frames as a viewer gets them.

    Returns:
        (T, 68, 3) at ``rate``, in pixels, NaN where no face is seen.

    Raises:
        InputError: it is no video that can be read.
    """
    from src.io.video import read_frames

    return track_faces(read_frames(path, rate))


def track_faces(frames: Iterable[np.ndarray]) -> np.ndarray:
    """The landmarks (T, 68, 3) of the face in BGR frames, NaN where none is seen."""
    from src.face.detection import track_landmarks

    unseen = np.full((LANDMARK_COUNT, 3), np.nan)
    track = [unseen if points is None else points for points in track_landmarks(frames)]
    return np.array(track).reshape(-1, LANDMARK_COUNT, 3)


def eye_openness(landmarks: np.ndarray) -> np.ndarray:
    """Eye aspect ratio: mean gap of the lids over the width of the eye, both eyes: (T,)."""
    points = landmarks[..., :2]
    upper, lower = np.array(EYELID_PAIRS).T
    inner, outer = np.array(EYE_CORNERS).T
    gaps = np.linalg.norm(points[..., upper, :] - points[..., lower, :], axis=-1)
    widths = np.linalg.norm(points[..., inner, :] - points[..., outer, :], axis=-1)
    return gaps.mean(-1) / widths.mean(-1)


def count_blinks(openness: np.ndarray, rate: float = MEASURE_RATE) -> int:
    """How often the eyes shut and open again in (T,) openness at ``rate``."""
    if not np.isfinite(openness).any():
        return 0
    shut = openness < BLINK_DEPTH * np.nanmedian(openness)  # False where it is NaN
    edges = np.flatnonzero(np.diff(np.concatenate([[False], shut, [False]]).astype(int)))
    lengths = edges[1::2] - edges[::2]
    return int((lengths <= LONGEST_BLINK * rate).sum())


def motion(track: np.ndarray, rate: float = MEASURE_RATE) -> Motion:
    """Head motion and blinks of a track (T, 68, >=2) in pixels, NaN where no face was seen."""
    seconds = len(track) / rate
    seen = track[np.isfinite(track).all((1, 2)), :, :2]
    if not len(seen):
        return Motion(seconds, float("nan"), float("nan"), 0)
    jaw = jaw_width(seen).mean()
    position = np.sqrt(seen[:, NOSE_TIP].var(0).sum()) / jaw
    right, left = OUTER_EYE_CORNERS
    across = seen[:, left] - seen[:, right]
    roll = np.degrees(np.arctan2(across[:, 1], across[:, 0])).std()
    blinks = count_blinks(eye_openness(track), rate)
    return Motion(seconds, 100 * float(position), float(roll), blinks)


def loudness_track(wav: np.ndarray, frames: int, rate: float = MEASURE_RATE) -> np.ndarray:
    """Log RMS (frames,) of int16 sound round each frame's time: lips guessed without any model."""
    hop = SAMPLE_RATE / rate
    centres = np.arange(frames) * hop
    first = np.clip(np.round(centres - hop / 2), 0, len(wav)).astype(int)
    last = np.clip(np.round(centres + hop / 2), 0, len(wav)).astype(int)
    power = np.concatenate([[0.0], np.cumsum(np.square(wav, dtype=np.float64))])
    mean = (power[last] - power[first]) / np.maximum(last - first, 1)
    return np.log10(np.maximum(np.sqrt(mean), QUIETEST))


def portrait_frame(track: np.ndarray) -> int:
    """The frame of a clip that serves as its portrait.

    Of the half that is most frontal, with open eyes, it is the one of least inner-mouth area.

    Args:
        track: (T, 68, 3) in pixels, NaN where no face was seen.

    Raises:
        ValueError: no frame shows a face.
    """
    seen = np.flatnonzero(np.isfinite(track).all((1, 2)))
    if not len(seen):
        raise ValueError("no frame shows a face")
    faces = track[seen]
    jaw = jaw_width(faces[..., :2])
    right, left = (
        np.linalg.norm(faces[:, NOSE_TIP, :2] - faces[:, end, :2], axis=-1) for end in JAW_ENDS
    )
    turned = np.abs(right - left) / jaw
    openness = eye_openness(faces)
    fit = (turned <= np.median(turned)) & (openness >= OPEN_EYES * np.median(openness))
    if not fit.any():
        fit[:] = True
    area = np.where(fit, np.abs(inner_lip_area(faces)) / jaw**2, np.inf)
    return int(seen[area.argmin()])


def in_step(frames: int, samples: int, offset: float) -> tuple[slice, slice]:
    """The frames and the samples of a clip that belong together, one after the other.

    Args:
        frames: of the picture, at ``MEASURE_RATE``.
        samples: of the sound.
        offset: seconds that the picture leads the sound.

    Returns:
        A slice of the frames and one of the samples, equally long in time.
    """
    lead = round(offset * MEASURE_RATE)
    hop = round(SAMPLE_RATE / MEASURE_RATE)
    first_frame, first_sample = max(0, -lead), max(0, lead) * hop
    count = max(0, min(frames - first_frame, (samples - first_sample) // hop))
    return (
        slice(first_frame, first_frame + count),
        slice(first_sample, first_sample + count * hop),
    )
