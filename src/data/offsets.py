"""Audio-visual offset of a clip, measured by its lips.

The content branch predicts from the audio how far the lips are apart; the offset is the shift at
which the lips in the video follow that best.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from src.data.clips import VIDEO_RATE
from src.face.geometry import inner_lip_gap, normalise
from src.face.registration import register, static_face
from src.io.audio import FRAME_RATE

if TYPE_CHECKING:
    from src.models.loading import MotionModels

LONGEST_SHIFT = 12
"""Frames of `VIDEO_RATE` in either direction, 0.48 s; farther shifts may seem better by chance."""

SHIFT_PENALTY = 0.01
"""Correlation that a shift must gain per frame: short sentences of an even rhythm correlate nearly
as well ten frames off."""

LEAST_OVERLAP = 25
"""Frames to compare, below which a shift is not tried."""


@dataclass(frozen=True)
class Offset:
    """Audio-visual offset of a clip."""

    frames: int  # of VIDEO_RATE by which the video leads; that much audio is to be dropped
    correlation: float  # of measured and predicted lip gap at that shift, NaN where unknown


def measure_offset(landmarks: np.ndarray, wav: np.ndarray, networks: MotionModels) -> Offset:
    """Offset of a clip.

    Args:
        landmarks: (T, 68, 3) pixels at ``VIDEO_RATE``, without gaps.
        wav: int16 (N,) as recorded.
    """
    gap = inner_lip_gap(register(landmarks, landmarks.mean(0)))
    return estimate_offset(gap, _predicted_gap(landmarks, wav, networks))


def estimate_offset(gap: np.ndarray, predicted: np.ndarray) -> Offset:
    """The shift of up to `LONGEST_SHIFT` frames at which two lip gaps correlate best.

    Args:
        gap: (T,) measured in the video, at ``VIDEO_RATE``.
        predicted: (T',) from the audio, at ``FRAME_RATE``; both start at the clip's start.
    """
    shifts = np.arange(-LONGEST_SHIFT, LONGEST_SHIFT + 1)
    correlations = np.array([_correlation(gap, predicted, shift) for shift in shifts])
    if not np.isfinite(correlations).any():
        return Offset(0, float("nan"))
    best = int(np.nanargmax(correlations - SHIFT_PENALTY * np.abs(shifts)))
    return Offset(int(shifts[best]), float(correlations[best]))


def least_correlation(seconds: float) -> float:
    """The correlation from which on a clip of that length counts as in sync.

    Of clips paired with the audio of others, at their best shift, 95 % stay below 0.47 (4 to 8 s
    long), 0.31 (8 to 15 s) and 0.19 (longer).
    """
    return float(np.clip(1 / np.sqrt(max(seconds, 1e-3)), 0.3, 0.5))


def _correlation(gap: np.ndarray, predicted: np.ndarray, shift: int) -> float:
    """Pearson correlation where the video leads by `shift` frames, NaN where it is undefined."""
    positions = (np.arange(len(gap)) + shift) * FRAME_RATE / VIDEO_RATE
    inside = (positions >= 0) & (positions <= len(predicted) - 1)
    if inside.sum() < LEAST_OVERLAP:
        return np.nan
    expected = np.interp(positions[inside], np.arange(len(predicted)), predicted)
    measured = gap[inside]
    if expected.std() <= 1e-9 or measured.std() <= 1e-9:
        return np.nan
    return np.corrcoef(measured, expected)[0, 1]


def _predicted_gap(landmarks: np.ndarray, wav: np.ndarray, networks: MotionModels) -> np.ndarray:
    """Lip gap (T,) that the content branch predicts for this face, at ``FRAME_RATE``."""
    from src.motion.displacement import content_output
    from src.speech.features import acoustic_features, standardise, windows
    from src.speech.voice_conversion import convert_voice

    acoustic = acoustic_features(wav)
    converted = convert_voice(
        networks.autovc,
        acoustic.mel,
        acoustic.f0_bins,
        acoustic.embedding,
        networks.target_embedding,
    )
    content = standardise(converted, networks.mel_mean, networks.mel_std)
    at_rest = static_face(register(landmarks, networks.standard_face))
    portrait, _, _ = normalise(at_rest, networks.standard_face[:, 2])
    speech = windows(content, networks.content_branch.config.window_lead)
    return inner_lip_gap(content_output(networks.content_branch, speech, portrait))
