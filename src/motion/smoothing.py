"""Smoothing of landmarks over time, and the ramp with which segments and blinks blend."""

import numpy as np
from scipy.signal import savgol_filter

from src.face.topology import FACE_WITHOUT_LIPS, LIPS, NOSE_BRIDGE_TOP

JOINED_SMOOTHING = (5, 3)
FINAL_SMOOTHING = (15, 3)
FINAL_LIP_SMOOTHING = (5, 3)
"""Savitzky-Golay window in frames of 1/62.5 s and polynomial order (published release)."""


def smooth(values: np.ndarray, window: int, order: int) -> np.ndarray:
    """Savitzky-Golay filter of values (T, ...) along the first axis; shape and dtype are kept.

    The window is reduced to the largest odd number that T allows. Where T is too short to fit the
    polynomial, the result is a copy.
    """
    window = min(window, len(values))
    window -= window % 2 == 0
    if window <= order:
        return np.array(values)
    return savgol_filter(values, window, order, axis=0)


def smooth_joined(landmarks: np.ndarray) -> np.ndarray:
    """Smooth (T, 68, 3) landmarks of a whole recording after rebuilding the nose bridge's top."""
    joined = np.array(landmarks)
    joined[:, NOSE_BRIDGE_TOP] = 2 * joined[:, NOSE_BRIDGE_TOP + 1] - joined[:, NOSE_BRIDGE_TOP + 2]
    return smooth(joined, *JOINED_SMOOTHING)


def smooth_final(
    landmarks: np.ndarray,
    face: tuple[int, int] = FINAL_SMOOTHING,
    lips: tuple[int, int] = FINAL_LIP_SMOOTHING,
) -> np.ndarray:
    """Smooth (T, 68, 3) landmarks, the lips with their own window and order."""
    return np.concatenate(
        [smooth(landmarks[:, FACE_WITHOUT_LIPS], *face), smooth(landmarks[:, LIPS], *lips)], axis=1
    )


def raised_cosine(length: int) -> np.ndarray:
    """(length,) float32 ramp from 0 to 1 with flat ends."""
    return (0.5 - 0.5 * np.cos(np.linspace(0, np.pi, length))).astype(np.float32)
