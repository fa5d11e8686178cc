"""How far picture and sound of a clip are out of step, told by the lips.

The content branch says from the sound how wide the mouth should be open; the shift at which the
true gap of the lips follows that best is the offset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from src.data.clips import VIDEO_RATE
from src.face.geometry import inner_lip_gap, normalise
from src.face.registration import register, static_face
from src.face.topology import LANDMARK_COUNT
from src.io.audio import FRAME_RATE

if TYPE_CHECKING:
    from src.models.loading import MotionModels

LONGEST_SHIFT = 12
"""Frames of `VIDEO_RATE` either way, 0.48 s: beyond that, chance finds as good a shift."""

DOUBT = 0.01
"""Of correlation, a frame: the farther the shift, the more must speak for it. Short sentences of
one rhythm find a shift of ten frames nearly as good as the true one."""

LEAST_OVERLAP = 25
"""Frames that must be left to compare at every shift."""


@dataclass(frozen=True)
class Offset:
    """What a clip's lips say."""

    frames: int  # of VIDEO_RATE that the picture leads the sound; drop as much sound
    correlation: float  # of gap and prediction at that shift, NaN where nothing can be said


def estimate_offset(gap: np.ndarray, predicted: np.ndarray) -> Offset:
    """The shift of up to `LONGEST_SHIFT` frames at which two gaps agree best.

    Args:
        gap: (T,) of the picture at ``VIDEO_RATE``.
        predicted: (T',) from the sound at ``FRAME_RATE``; both begin where the clip does.
    """
    correlations = shift_correlations(gap, predicted)
    if not np.isfinite(correlations).any():
        return Offset(0, float("nan"))
    doubt = DOUBT * np.abs(np.arange(-LONGEST_SHIFT, LONGEST_SHIFT + 1))
    best = int(np.nanargmax(correlations - doubt))
    return Offset(best - LONGEST_SHIFT, float(correlations[best]))


def least_correlation(seconds: float) -> float:
    """The correlation from which on a clip of that length counts as in sync.

    Of clips laid on the sound of others, at their best shift, 95 % stay below 0.47 (4 to 8 s long),
    0.31 (8 to 15 s) and 0.19 (longer).
    """
    return float(np.clip(1 / np.sqrt(max(seconds, 1e-3)), 0.3, 0.5))


def shift_correlations(gap: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Pearson correlation (2 * LONGEST_SHIFT + 1,) at each shift, NaN where nothing is known.

    Entry i stands for a picture that leads by i - LONGEST_SHIFT frames: the frame at time t is
    laid on the sound that long after t.
    """
    shifts = np.arange(-LONGEST_SHIFT, LONGEST_SHIFT + 1)
    found = np.full(len(shifts), np.nan)
    frames = np.arange(len(gap))
    for index, shift in enumerate(shifts):
        places = (frames + shift) * FRAME_RATE / VIDEO_RATE
        inside = (places >= 0) & (places <= len(predicted) - 1)
        if inside.sum() < LEAST_OVERLAP:
            continue
        said = np.interp(places[inside], np.arange(len(predicted)), predicted)
        seen = gap[inside]
        if said.std() > 1e-9 and seen.std() > 1e-9:
            found[index] = np.corrcoef(seen, said)[0, 1]
    return found


def predicted_gap(features: np.ndarray, track: np.ndarray, networks: MotionModels) -> np.ndarray:
    """The gap (T,) that a face's lips should have, any unit, at `FRAME_RATE`.

    Args:
        features: (T, 80) converted log-mel of the whole sound.
        track: (T', 68, 3) of the face in pixels, which lends its shape.
    """
    from src.motion.displacement import content_output
    from src.speech.features import standardise, windows

    still = static_face(register(track, networks.standard_face))
    portrait, _, _ = normalise(still, networks.standard_face[:, 2])
    heard = standardise(features, networks.mel_mean, networks.mel_std)
    moved = content_output(
        networks.content_branch,
        windows(heard, networks.content_branch.config.window_lead),
        portrait,
    )
    return inner_lip_gap(moved.reshape(-1, LANDMARK_COUNT, 3))


def lip_gap(track: np.ndarray) -> np.ndarray:
    """The gap (T,) of a face's lips, head pose and size taken out.

    Args:
        track: (T, 68, 3) in pixels, without holes.
    """
    return inner_lip_gap(register(track, track.mean(0)))


def heard_features(wav: np.ndarray, networks: MotionModels) -> np.ndarray:
    """Converted log-mel (T, 80) of int16 sound as recorded."""
    from src.speech.features import acoustic_features
    from src.speech.voice_conversion import convert_voice

    acoustic = acoustic_features(wav)
    return convert_voice(
        networks.autovc,
        acoustic.mel,
        acoustic.f0_bins,
        acoustic.embedding,
        networks.target_embedding,
    )
