"""Speech features: from a recording to the inputs of the landmark networks (paper, section 4.1)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from src.speech.f0 import f0_bins, log_f0, normalise_f0
from src.speech.loudness import SILENCE, loudness, normalise_loudness
from src.speech.mel import log_mel, prepare_samples
from src.speech.recording import Recording
from src.speech.voice_conversion import convert_voice
from thirdparty.speaker_encoder import embed_speaker

if TYPE_CHECKING:
    from src.models.loading import MotionModels

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AcousticFeatures:
    """Features of a loudness-normalised recording before voice conversion."""

    samples: np.ndarray  # int16 (N,)
    mel: np.ndarray  # (T, 80) log-mel
    f0: np.ndarray  # (T,) normalised log F0
    f0_bins: np.ndarray  # int16 (T,)
    embedding: np.ndarray  # (256,) speaker embedding
    silent: bool


@dataclass(frozen=True)
class SpeechFeatures:
    """Inputs of the landmark networks."""

    content: np.ndarray  # (T, 80) standardised log-mel of the converted voice
    speaker_embedding: np.ndarray  # (256,), of the recording as it is
    recording: Recording
    silent: bool = False


def speech_features(
    recording: Recording,
    networks: MotionModels,
    intermediates: dict[str, np.ndarray] | None = None,
) -> SpeechFeatures:
    """Convert a recording to one fixed voice by AutoVC and standardise it; warn of silence.

    Every intermediate array goes into `intermediates`, if that is given.
    """
    speaker_embedding = embed_speaker(recording.samples)
    acoustic = acoustic_features(recording.samples)
    mel, bins, embedding = acoustic.mel, acoustic.f0_bins, acoustic.embedding
    converted = convert_voice(networks.autovc, mel, bins, embedding, networks.target_embedding)
    if intermediates is not None:
        intermediates |= dict(
            wav_normalised=acoustic.samples,
            speaker_embedding=speaker_embedding,
            mel=mel,
            f0_norm=acoustic.f0,
            f0_bin=bins,
            speaker_embedding_normalised_wav=embedding,
            autovc_mel=converted,
        )
    content = standardise(converted, networks.mel_mean, networks.mel_std)
    if acoustic.silent:
        log.warning("%s: silence, so the lips do not move", recording.name)
    return SpeechFeatures(content, speaker_embedding, recording, acoustic.silent)


def acoustic_features(samples: np.ndarray) -> AcousticFeatures:
    """Normalise the loudness of int16 (N,) samples; extract log-mel, F0 and speaker embedding.

    Raises:
        ValueError: too short for the F0 tracker.
    """
    silent = loudness(samples) < SILENCE
    normalised = normalise_loudness(samples)
    prepared = prepare_samples(normalised)
    mel = log_mel(prepared)
    f0 = normalise_f0(log_f0(prepared))
    return AcousticFeatures(normalised, mel, f0, f0_bins(f0), embed_speaker(normalised), silent)


def standardise(mel: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Standardise content features (T, 80) by the training set's mean and std (80,) each."""
    return ((mel - mean) / std).astype(np.float32)
