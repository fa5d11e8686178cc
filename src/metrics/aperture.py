"""Aperture of the mouth, and its correlation with the ground truth's."""

from __future__ import annotations

import numpy as np

from src.face.geometry import central_lip_distance, central_lip_gap
from src.face.topology import OUTER_EYE_CORNERS

MEASURE_RATE = 25.0
"""Frames per second at which motion is compared."""

MAX_LAG = 2  # frames either way


def aperture(landmarks: np.ndarray) -> np.ndarray:
    """Inner-lip gap over the distance of the outer eye corners of (T, 68, >=2) landmarks: (T,).

    Independent of the face's size, position and roll.
    """
    points = landmarks[..., :2]
    return central_lip_distance(points) / _eye_distance(points)


def signed_aperture(landmarks: np.ndarray) -> np.ndarray:
    """`aperture` of upright faces (T, 68, >=2): (T,), negative where the lips have crossed."""
    return central_lip_gap(landmarks) / _eye_distance(landmarks[..., :2])


def _eye_distance(points: np.ndarray) -> np.ndarray:
    right, left = OUTER_EYE_CORNERS
    return np.linalg.norm(points[..., left, :] - points[..., right, :], axis=-1)


def aperture_correlation(predicted: np.ndarray, reference: np.ndarray) -> float:
    """Pearson correlation of two tracks (T,) at their best lag of up to `MAX_LAG` frames.

    Frames where either is NaN (no face found) do not count. NaN where a track is constant.
    """
    frames = min(len(predicted), len(reference))
    predicted, reference = predicted[:frames], reference[:frames]
    best = -np.inf
    for shift in range(-MAX_LAG, MAX_LAG + 1):
        a = predicted[max(0, shift) : frames + min(0, shift)]
        b = reference[max(0, -shift) : frames + min(0, -shift)]
        known = np.isfinite(a) & np.isfinite(b)
        if known.sum() > 2 and a[known].std() > 1e-9 and b[known].std() > 1e-9:
            best = max(best, float(np.corrcoef(a[known], b[known])[0, 1]))
    return best if np.isfinite(best) else float("nan")


def correlation(gap: np.ndarray, rate: float, reference: np.ndarray) -> float:
    """`aperture_correlation` of a gap (T,) at any rate, 0 for lips that do not move.

    Args:
        gap: in any unit, NaN where no face was found.
        rate: frames per second of the gap.
        reference: (T',) of the ground truth at `MEASURE_RATE`.
    """
    predicted = at_measure_rate(gap, rate, len(reference))
    return float(np.nan_to_num(aperture_correlation(predicted, reference)))


def at_measure_rate(gap: np.ndarray, rate: float, frames: int) -> np.ndarray:
    """The first frames of a gap (T,) at ``rate``, interpolated to `MEASURE_RATE`."""
    times = np.arange(frames) * rate / MEASURE_RATE
    times = times[times <= len(gap) - 1]
    return np.interp(times, np.arange(len(gap)), gap) if len(times) else times
