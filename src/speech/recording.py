"""A recording: decoded audio and where it came from."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from src.io.audio import SAMPLE_RATE, AudioSource, audio_file, read_audio

SHORTEST_RECORDING = 0.3  # seconds; a window of 18 frames is 0.29 s

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """Decoded audio."""

    samples: np.ndarray  # int16 (N,), 16 kHz, mono
    source: AudioSource  # from which it was decoded

    @property
    def name(self) -> str:
        """Name of the recording in messages."""
        return "the recording" if isinstance(self.source, tuple) else str(self.source)

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


def read_recording(source: AudioSource) -> Recording:
    """Decode a recording; pad very short audio.

    Args:
        source: any file with audio, or samples with their sample rate.

    Raises:
        InputError: no audio can be read from it.
    """
    with audio_file(source) as path:
        samples = read_audio(path)
    lacking = max(0, round(SHORTEST_RECORDING * SAMPLE_RATE) - len(samples))
    recording = Recording(np.pad(samples, (0, lacking)), source)
    if lacking:
        seconds = len(samples) / SAMPLE_RATE, SHORTEST_RECORDING
        log.warning("%s: %.2f s of audio, padded to %.1f s", recording.name, *seconds)
    return recording
