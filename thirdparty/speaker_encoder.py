"""Adapter of Resemblyzer's ``VoiceEncoder`` (GE2E embeddings; the wheel has its weights)."""

from __future__ import annotations

import contextlib
import functools
import io
import warnings

import numpy as np

SAMPLE_RATE = 16000  # Hz, what the encoder was trained with
FULL_SCALE = 32768  # |int16| at 0 dBFS
PIECE = 60 * SAMPLE_RATE  # samples embedded at a time (published release)


@functools.cache
def _encoder():
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        from resemblyzer import VoiceEncoder

        return VoiceEncoder(device="cpu", verbose=False)


def embed_speaker(wav: np.ndarray) -> np.ndarray:
    """Embed the speaker of a recording: int16 (N,) at 16 kHz -> float32 (256,), about unit length.

    Silent passages are trimmed; the rest is embedded in pieces of a minute and averaged, as in the
    release. Digital silence gives zeros.
    """
    encoder = _encoder()
    from resemblyzer import preprocess_wav

    samples = wav.astype(np.float32) / FULL_SCALE
    if not samples.any():
        return np.zeros(encoder.linear.out_features, np.float32)
    trimmed = preprocess_wav(samples)
    if len(trimmed) == 0:  # nothing in it passes for speech
        trimmed = samples
    embeddings = [
        encoder.embed_utterance(trimmed[start : start + PIECE], rate=2)  # as in the release
        for start in range(0, max(1, len(trimmed) - PIECE + 1), PIECE)
    ]
    return np.mean(embeddings, axis=0).astype(np.float32)
