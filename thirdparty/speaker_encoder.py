"""Adapter round Resemblyzer's ``VoiceEncoder`` (GE2E speaker embeddings, weights in its wheel)."""

from __future__ import annotations

import contextlib
import functools
import io
import warnings

import numpy as np

from src.io.audio import FULL_SCALE, SAMPLE_RATE

EMBEDDING_SIZE = 256
PIECE = 60 * SAMPLE_RATE  # samples embedded at a time (published release)
PARTIALS_A_SECOND = 2  # overlapping partial utterances (published release)


@functools.cache
def _encoder():
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        from resemblyzer import VoiceEncoder

        return VoiceEncoder(device="cpu", verbose=False)


def embed_speaker(wav: np.ndarray) -> np.ndarray:
    """Who speaks: int16 (N,) at 16 kHz -> float32 (256,), about unit length.

    Silences are trimmed, the voice is embedded in pieces of a minute and averaged, as in the
    release. Silence, which has no speaker, gives zeros.
    """
    encoder = _encoder()
    from resemblyzer import preprocess_wav

    samples = wav.astype(np.float32) / FULL_SCALE
    if not samples.any():
        return np.zeros(EMBEDDING_SIZE, np.float32)
    trimmed = preprocess_wav(samples)
    if len(trimmed) == 0:  # nothing in it passes for speech
        trimmed = samples
    pieces = max(1, len(trimmed) // PIECE)
    embeddings = [
        encoder.embed_utterance(trimmed[i * PIECE : (i + 1) * PIECE], rate=PARTIALS_A_SECOND)
        for i in range(pieces)
    ]
    return np.mean(embeddings, axis=0).astype(np.float32)
