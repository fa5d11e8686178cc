"""Audio-visual offset of a clip, measured by its lips.

The content branch predicts from the audio how far the lips are apart; the offset is the shift at
which the lips in the video follow that best.
"""

from __future__ import annotations

import numpy as np

from src.data.clips import VIDEO_RATE
from src.data.tracking import clean_landmarks
from src.data.workers import load_networks
from src.face.geometry import inner_lip_gap, normalise
from src.face.registration import register, static_face
from src.io.audio import FRAME_RATE, SAMPLE_RATE
from src.motion.displacement import content_output
from src.speech.features import speech_features
from src.speech.recording import Recording
from src.speech.windows import windows

LONGEST_SHIFT = 12
"""Frames of `VIDEO_RATE` in either direction, 0.48 s; farther shifts may seem better by chance."""

SHIFT_PENALTY = 0.01
"""Correlation that a shift must gain per frame: short sentences of an even rhythm correlate nearly
as well ten frames off."""

LEAST_OVERLAP = 25
"""Frames to compare, below which a shift is not tried."""


def measure_synchrony(clip: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays ``offset``, ``offset_correlation`` and ``synced`` of a tracked clip.

    The offset, in seconds, is that by which the video leads; 0 where the clip is not in sync.
    """
    landmarks = clean_landmarks(clip["landmarks"])
    gap = inner_lip_gap(register(landmarks, landmarks.mean(0)))
    frames, correlation = estimate_offset(gap, _predicted_gap(landmarks, clip["wav"]))
    synced = correlation >= least_correlation(len(landmarks) / VIDEO_RATE)
    return {
        "offset": np.array(frames / VIDEO_RATE if synced else 0.0),
        "offset_correlation": np.array(correlation),
        "synced": np.array(bool(clip["synced"]) and synced),
    }


def estimate_offset(gap: np.ndarray, predicted: np.ndarray) -> tuple[int, float]:
    """Find the shift of up to `LONGEST_SHIFT` frames at which two lip gaps correlate best.

    Args:
        gap: (T,) measured in the video, at ``VIDEO_RATE``.
        predicted: (T',) from the audio, at ``FRAME_RATE``; both start at the clip's start.

    Returns:
        Frames of ``VIDEO_RATE`` by which the video leads, so that much audio is to be dropped, and
        the correlation at that shift; 0 and NaN where it is undefined.
    """
    shifts = np.arange(-LONGEST_SHIFT, LONGEST_SHIFT + 1)
    correlations = np.array([_correlation(gap, predicted, shift) for shift in shifts])
    if not np.isfinite(correlations).any():
        return 0, float("nan")
    best = int(np.nanargmax(correlations - SHIFT_PENALTY * np.abs(shifts)))
    return int(shifts[best]), float(correlations[best])


def least_correlation(seconds: float) -> float:
    """The correlation from which on a clip of that length counts as in sync.

    Of clips paired with the audio of others, at their best shift, 95 % stay below 0.47 (4 to 8 s
    long), 0.31 (8 to 15 s) and 0.19 (longer).
    """
    return float(np.clip(1 / np.sqrt(seconds), 0.3, 0.5))


def _correlation(gap: np.ndarray, predicted: np.ndarray, shift: int) -> float:
    """Pearson correlation where the video leads by `shift` frames, NaN where it is undefined."""
    positions = (np.arange(len(gap)) + shift) * FRAME_RATE / VIDEO_RATE
    frames = np.arange(len(predicted))
    expected = np.interp(positions, frames, predicted, left=np.nan, right=np.nan)
    inside = np.isfinite(expected)
    pair = np.stack([gap[inside], expected[inside]])
    if inside.sum() < LEAST_OVERLAP or pair.std(1).min() <= 1e-9:
        return np.nan
    return np.corrcoef(pair)[0, 1]


def _predicted_gap(landmarks: np.ndarray, wav: np.ndarray) -> np.ndarray:
    """Lip gap (T,) that the content branch predicts for this face, at ``FRAME_RATE``."""
    networks = load_networks()
    content = speech_features(Recording(wav, (wav, SAMPLE_RATE)), networks).content
    at_rest = static_face(register(landmarks, networks.standard_face))
    portrait, _, _ = normalise(at_rest, networks.standard_face[:, 2])
    speech = windows(content, networks.content_branch.config.window_lead)
    return inner_lip_gap(content_output(networks.content_branch, speech, portrait))
