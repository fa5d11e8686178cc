"""Blinks per minute in a video."""

from __future__ import annotations

import numpy as np

from src.face.topology import EYE_CORNERS, EYELID_PAIRS
from src.metrics.aperture import MEASURE_RATE

BLINK_DEPTH = 0.6
"""A blink is a dip of the eyes' openness below this fraction of its median. It leaves 0.1 to 0.45
in tracked clips, up to 0.57 in a rendered portrait with glasses; a look downwards leaves 0.65."""

MAX_BLINK = 0.8  # seconds


def eye_openness(landmarks: np.ndarray) -> np.ndarray:
    """Eye aspect ratio of (T, 68, >=2) landmarks: (T,).

    Mean distance of the lids over the mean width of the eyes (Soukupova and Cech 2016).
    """
    points = landmarks[..., :2]
    upper, lower = np.array(EYELID_PAIRS).T
    first, second = np.array(EYE_CORNERS).T
    gaps = np.linalg.norm(points[..., upper, :] - points[..., lower, :], axis=-1)
    widths = np.linalg.norm(points[..., first, :] - points[..., second, :], axis=-1)
    return gaps.mean(-1) / widths.mean(-1)


def blinks(landmarks: np.ndarray) -> tuple[int, float]:
    """Number of blinks, and duration in seconds.

    Args:
        landmarks: (T, 68, 3) found in a video at `MEASURE_RATE`, NaN where there is no face.
    """
    openness, seconds = eye_openness(landmarks), len(landmarks) / MEASURE_RATE
    if not np.isfinite(openness).any():
        return 0, seconds
    shut = openness < BLINK_DEPTH * np.nanmedian(openness)  # False where it is NaN
    edges = np.flatnonzero(np.diff(np.concatenate([[False], shut, [False]]).astype(int)))
    durations = edges[1::2] - edges[::2]
    return int((durations <= MAX_BLINK * MEASURE_RATE).sum()), seconds


def blink_rate(values: list[tuple[int, float]]) -> float:
    """Blinks per minute over several videos together."""
    counts, seconds = zip(*values, strict=True)
    return 60 * sum(counts) / sum(seconds)
