"""Interpolation of frames in time."""

import numpy as np


def resample(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Interpolate linearly between frames (T, ...) of floating point; dtype is kept.

    Args:
        values: frames 0 to T - 1.
        times: (N,) positions in frames. Before the first and after the last frame that frame stays.

    Returns:
        (N, ...).
    """
    times = np.clip(times, 0, len(values) - 1)
    before = np.floor(times).astype(int)
    weight = (times - before).astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    after = np.minimum(before + 1, len(values) - 1)
    return (1 - weight) * values[before] + weight * values[after]
