"""Synthetic audio."""

import numpy as np

from src.io.audio import SAMPLE_RATE


def tone(seconds: float = 1.0, hertz: float = 200.0, level: float = 0.3) -> np.ndarray:
    """Harmonic tone that RAPT tracks as voiced: int16 at 16 kHz."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    wave = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, 12))
    return np.round(level * 32767 * wave / np.abs(wave).max()).astype(np.int16)
