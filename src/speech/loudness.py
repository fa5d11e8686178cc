"""Loudness of recordings."""

import numpy as np

from src.io.audio import FULL_SCALE

TARGET_LOUDNESS = -20.0  # dBFS of the RMS (published release)
SILENCE = -60.0  # dBFS of the RMS, below which a recording counts as silent


def loudness(samples: np.ndarray) -> float:
    """RMS level of int16 (N,) samples in dBFS; minus infinity for digital silence.

    As in the release's audio library, an RMS of at least 1 is rounded down to an integer.
    """
    rms = np.sqrt(np.mean(np.square(samples, dtype=np.float64)))
    rms = np.floor(rms) if rms >= 1 else rms
    return float(20.0 * np.log10(rms / FULL_SCALE)) if rms > 0 else float("-inf")


def normalise_loudness(samples: np.ndarray) -> np.ndarray:
    """Scale int16 (N,) samples to ``TARGET_LOUDNESS``, clipped; digital silence stays as it is."""
    level = loudness(samples)
    if not np.isfinite(level):
        return samples.copy()
    gain = 10.0 ** ((TARGET_LOUDNESS - level) / 20.0)
    return np.clip(np.floor(samples * gain), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
