"""Interpolation of frames in time."""

from __future__ import annotations

import numpy as np


def resample(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Interpolate linearly between frames.

    Args:
        values: (T, ...) floating point, frames 0 to T - 1.
        times: (N,) positions in frames; those before the first or after the last frame get that
            frame.

    Returns:
        (N, ...), dtype of `values`.
    """
    times = np.clip(times, 0, len(values) - 1)
    before = np.floor(times).astype(int)
    weight = (times - before).astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    if not weight.any():
        return np.asarray(values[before])
    after = np.minimum(before + 1, len(values) - 1)
    return (1 - weight) * values[before] + weight * values[after]
