"""Fundamental frequency (F0): tracked by RAPT, quantised as in F0-conditioned AutoVC (2020)."""

import numpy as np

from src.io.audio import FULL_SCALE, HOP_LENGTH, SAMPLE_RATE
from src.models.dimensions import F0_BINS
from thirdparty import rapt

F0_RANGE = (100.0, 600.0)  # Hz (the release's at inference)
UNVOICED = -1e10  # RAPT's value for unvoiced frames
SPREAD = 4.0  # standard deviations on either side of the mean that the quantised range spans


def log_f0(samples: np.ndarray) -> np.ndarray:
    """Log F0 by RAPT (Talkin 1995): samples within ±1 (N,) -> float32 (T,) with ``UNVOICED``."""
    scaled = samples.astype(np.float32) * FULL_SCALE
    return rapt.log_f0(scaled, SAMPLE_RATE, HOP_LENGTH, *F0_RANGE)


def normalise_f0(f0: np.ndarray) -> np.ndarray:
    """Log F0 (T,) normalised by the utterance's mean and std: voiced 0..1, ``UNVOICED`` kept."""
    voiced = f0 != UNVOICED
    normalised = f0.astype(np.float64)
    if voiced.any():
        values = normalised[voiced]
        std = max(values.std(), 1e-6)  # 0 for a single voiced frame
        relative = np.clip((values - values.mean()) / std / SPREAD, -1.0, 1.0)
        normalised[voiced] = (relative + 1.0) / 2.0
    return normalised.astype(np.float32)


def f0_bins(normalised: np.ndarray) -> np.ndarray:
    """Quantise normalised F0 (T,): int16 (T,), 0 where unvoiced, else 1..256."""
    voiced = normalised > 0.5 * UNVOICED
    level = np.round(np.clip(normalised, 0.0, 1.0) * (F0_BINS - 2)) + 1
    return np.where(voiced, level, 0).astype(np.int16)


def f0_one_hot(bins: np.ndarray) -> np.ndarray:
    """One-hot F0: int (T,) -> float32 (T, 257)."""
    return np.eye(F0_BINS, dtype=np.float32)[bins]
