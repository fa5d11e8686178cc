"""16 kHz samples become the features that the networks hear.

Log-mel and F0 as AutoVC defines them (Qian et al. 2019; the F0-conditioned variant of 2020), the
voice converted to one fixed speaker by AutoVC's generator, standardised and cut into windows
(MakeItTalk, section 4.1, and the published release).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from src.io.audio import FULL_SCALE, HOP_LENGTH, SAMPLE_RATE
from src.models.dimensions import F0_BINS, FRAME_MULTIPLE, MEL_BANDS, WINDOW
from thirdparty import rapt

if TYPE_CHECKING:
    import torch

FFT_SIZE = 1024  # samples
MEL_RANGE = (90.0, 7600.0)  # Hz
HIGH_PASS = 30.0  # Hz, 5th-order Butterworth, forward and backward
HIGH_PASS_ORDER = 5
HEADROOM = 0.95  # gain before the analysis
DITHER = 1e-6  # peak to peak, keeps digital silence off log(0)
MEL_FLOOR = 1e-5
REFERENCE_LEVEL = 16.0  # dB
DYNAMIC_RANGE = 100.0  # dB mapped to 0..1

F0_RANGE = (100.0, 600.0)  # Hz, what the release uses at inference
UNVOICED = -1e10  # RAPT's mark in log F0
F0_LEVELS = F0_BINS - 1  # voiced levels of the one-hot

CONVERSION_PIECE = 4096  # frames converted at a time


@functools.cache
def _mel_filters() -> np.ndarray:
    """Slaney mel filters, float32 (MEL_BANDS, FFT_SIZE / 2 + 1)."""
    import librosa

    return librosa.filters.mel(
        sr=SAMPLE_RATE, n_fft=FFT_SIZE, fmin=MEL_RANGE[0], fmax=MEL_RANGE[1], n_mels=MEL_BANDS
    )


def prepare_samples(wav: np.ndarray) -> np.ndarray:
    """High-passed, dithered samples: int16 (N,) -> float64 (N,) or (N + 1,), within ±1.

    A length that is a multiple of the hop gets one sample more, as in the release, so that N
    samples always make ``N // HOP_LENGTH + 1`` frames with the last one inside the sound.
    """
    from scipy import signal

    samples = wav.astype(np.float64) / FULL_SCALE
    if len(samples) % HOP_LENGTH == 0:
        samples = np.append(samples, 1e-6)
    b, a = signal.butter(HIGH_PASS_ORDER, HIGH_PASS / (SAMPLE_RATE / 2), btype="high")
    filtered = signal.filtfilt(b, a, samples)
    noise = np.random.RandomState(0).rand(len(filtered)) - 0.5
    return filtered * HEADROOM + noise * DITHER


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Log-mel spectrogram of ``prepare_samples``: (N,) -> float32 (T, 80), about 0..1."""
    import librosa

    spectrum = librosa.stft(
        samples.astype(np.float64),
        n_fft=FFT_SIZE,
        hop_length=HOP_LENGTH,
        window="hann",
        center=True,
        pad_mode="reflect",
        dtype=np.complex64,
    )
    mel = _mel_filters() @ np.abs(spectrum)
    level = 20.0 * np.log10(np.maximum(MEL_FLOOR, mel)) - REFERENCE_LEVEL
    return ((level + DYNAMIC_RANGE) / DYNAMIC_RANGE).T.astype(np.float32)


def log_f0(samples: np.ndarray, f0_range: tuple[float, float] = F0_RANGE) -> np.ndarray:
    """Log F0 by RAPT (Talkin 1995): samples within ±1 (N,) -> float32 (T,), ``UNVOICED`` marked."""
    scaled = samples.astype(np.float32) * FULL_SCALE
    return rapt.log_f0(scaled, SAMPLE_RATE, HOP_LENGTH, *f0_range)


def normalise_f0(f0: np.ndarray) -> np.ndarray:
    """Log F0 (T,) relative to the speaker's own: voiced 0..1, ``UNVOICED`` kept.

    Four deviations either side of the mean span the range (AutoVC, 2020).
    """
    voiced = f0 != UNVOICED
    normalised = f0.astype(np.float64).copy()
    if voiced.any():
        values = f0[voiced].astype(np.float64)
        deviation = max(values.std(), 1e-6)  # one voiced frame has none
        relative = np.clip((values - values.mean()) / deviation / 4.0, -1.0, 1.0)
        normalised[voiced] = (relative + 1.0) / 2.0
    return normalised.astype(np.float32)


def f0_bins(normalised: np.ndarray) -> np.ndarray:
    """Bin of each frame: 0 unvoiced, else 1..256; float (T,) -> int16 (T,)."""
    voiced = normalised > 0.5 * UNVOICED
    level = np.round(np.clip(normalised, 0.0, 1.0) * (F0_LEVELS - 1)) + 1
    return np.where(voiced, level, 0).astype(np.int16)


def f0_one_hot(bins: np.ndarray) -> np.ndarray:
    """int (T,) -> float32 (T, 257)."""
    return np.eye(F0_BINS, dtype=np.float32)[bins]


def convert_voice(
    generator: torch.nn.Module,
    mel: np.ndarray,
    bins: np.ndarray,
    embedding: np.ndarray,
    target_embedding: np.ndarray,
) -> np.ndarray:
    """AutoVC: the same words in the target speaker's voice; the content feature.

    Args:
        generator: ``src.models.autovc.Generator`` in eval mode, on any device.
        mel: (T, 80) log-mel.
        bins: (T,) F0 bins.
        embedding: (256,) of the loudness-normalised voice.
        target_embedding: (256,) of the one fixed target voice.

    Returns:
        float32 (T, 80).
    """
    import torch

    device = next(generator.parameters()).device
    source = torch.from_numpy(np.asarray(embedding, np.float32))[None].to(device)
    target = torch.from_numpy(np.asarray(target_embedding, np.float32))[None].to(device)
    converted = []
    with torch.inference_mode():
        for start in range(0, len(mel), CONVERSION_PIECE):
            piece = mel[start : start + CONVERSION_PIECE]
            padding = ((0, -len(piece) % FRAME_MULTIPLE), (0, 0))
            one_hot = f0_one_hot(bins[start : start + CONVERSION_PIECE])
            x = torch.from_numpy(np.pad(piece, padding))[None].to(device)
            f0 = torch.from_numpy(np.pad(one_hot, padding))[None].to(device)
            _, refined, _ = generator(x, source, f0, target, f0)
            converted.append(refined[0, : len(piece)].float().cpu().numpy())
    return np.concatenate(converted)


def standardise(mel: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """(T, 80) content features -> zero mean and unit deviation of the training voices."""
    return ((mel - mean) / deviation).astype(np.float32)


def windows(features: np.ndarray, lead: int = 0) -> np.ndarray:
    """All windows of ``WINDOW`` frames, one a frame, as a view.

    Args:
        features: (T, 80).
        lead: how many frames of a window lie before the frame that it speaks for. The published
            networks hear only the frame and what follows it: 0.

    Returns:
        (T, WINDOW, 80); the ends repeat the first and the last frame, so no frame is lost.
        Without that padding the first ``T - WINDOW + 1`` windows of ``lead=0`` are the release's.
    """
    padded = np.pad(features, ((lead, WINDOW - 1 - lead), (0, 0)), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=0).swapaxes(1, 2)
