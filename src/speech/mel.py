"""Log-mel spectrograms as AutoVC defines them (Qian et al. 2019)."""

import numpy as np

from src.io.audio import FULL_SCALE, HOP_LENGTH, SAMPLE_RATE
from src.models.dimensions import MEL_BANDS

FFT_SIZE = 1024  # samples
MEL_RANGE = (90.0, 7600.0)  # Hz
HIGH_PASS = 30.0  # Hz, Butterworth filter, run forward and backward
HIGH_PASS_ORDER = 5
HEADROOM = 0.95  # gain after the filter
DITHER = 1e-6  # peak to peak; keeps digital silence away from log(0)
MEL_FLOOR = 1e-5
REFERENCE_LEVEL = 16.0  # dB
DYNAMIC_RANGE = 100.0  # dB, mapped to 0..1


def prepare_samples(samples: np.ndarray) -> np.ndarray:
    """High-pass and dither: int16 (N,) -> float64 (N,) or (N + 1,), within ±1.

    As in the release, a length that is a multiple of the hop is extended by one sample.
    """
    from scipy import signal

    scaled = samples.astype(np.float64) / FULL_SCALE
    if len(scaled) % HOP_LENGTH == 0:
        scaled = np.append(scaled, 1e-6)
    b, a = signal.butter(HIGH_PASS_ORDER, HIGH_PASS / (SAMPLE_RATE / 2), btype="high")
    filtered = signal.filtfilt(b, a, scaled)
    noise = np.random.RandomState(0).rand(len(filtered)) - 0.5
    return filtered * HEADROOM + noise * DITHER


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Log-mel spectrogram of prepared samples (N,): float32 (T, 80), about 0..1."""
    import librosa

    mel = librosa.feature.melspectrogram(
        y=samples,
        sr=SAMPLE_RATE,
        n_fft=FFT_SIZE,
        hop_length=HOP_LENGTH,
        pad_mode="reflect",
        power=1.0,
        n_mels=MEL_BANDS,
        fmin=MEL_RANGE[0],
        fmax=MEL_RANGE[1],
    )
    level = 20.0 * np.log10(np.maximum(MEL_FLOOR, mel)) - REFERENCE_LEVEL
    return ((level + DYNAMIC_RANGE) / DYNAMIC_RANGE).T.astype(np.float32)
