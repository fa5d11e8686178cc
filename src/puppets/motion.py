"""Default animation of a puppet: the closed face that the networks move, and what becomes of it.

Like a portrait's, but without blinks. `released` offers the same functions.
"""

from __future__ import annotations

import numpy as np

from src.face.geometry import DEPTH_FACTOR, NORMALISED_JAW_WIDTH, central_lip_gap, denormalise
from src.motion.default import part_lips
from src.motion.smoothing import smooth_final
from src.puppets.puppet import Puppet, renderer
from src.puppets.repair import repaired

__all__ = ["finish", "opening_gain", "renderer", "repaired", "resting_face"]

FACE_SMOOTHING = (17, 3)
"""Savitzky-Golay window in frames of 1/62.5 s and order (published release)."""

LIP_SMOOTHING = (5, 3)
"""As for portraits. With the release's 11 frames (0.18 s), fewer lips close at p, b and m: 66.7 %
instead of 71.8 % of them leave less than a tenth of an open vowel's gap. The shorter window causes
no jitter: 0.5 % of the motion is above 8 Hz, 0.05 % with 11 frames."""

SPOKEN_OPENING = 0.06
"""Gap between the inner lips in an open vowel at `--amp_lip_y 2`, in jaw widths: the median over
thirteen puppets with the embedded weights."""

VOWEL_OPENING = 0.5
"""Fraction of the image's mouth opening that an open vowel reaches; the widest vowels then reach
all of it."""

MAX_GAIN = 2.0


def resting_face(puppet: Puppet, standard_depth: np.ndarray) -> np.ndarray:
    """The closed face (68, 3), normalised, that the networks move.

    Args:
        puppet: puppet whose mouth is closed in `closed_face`.
        standard_depth: (68,) depth of the standard face, scaled here as for portraits.
    """
    face = np.array(puppet.closed_face)
    face[:, 2] = DEPTH_FACTOR * standard_depth
    return face


def opening_gain(puppet: Puppet) -> float:
    """Factor on the vertical lip motion, from 1 to `MAX_GAIN`.

    A mouth that is wide open in the image is meant to be seen so. Speech opens real mouths by a
    third of that, which would show little of the mouth's inside.
    """
    jaw_width = NORMALISED_JAW_WIDTH / abs(puppet.scale)
    opening = central_lip_gap(puppet.landmarks) / jaw_width
    return float(np.clip(VOWEL_OPENING * opening / SPOKEN_OPENING, 1.0, MAX_GAIN))


def finish(predicted: np.ndarray, puppet: Puppet) -> np.ndarray:
    """Smooth predicted landmarks and bring them to the image's pixels; lips do not cross.

    Args:
        predicted: (T, 68, 3) normalised.
        puppet: puppet that they belong to.

    Returns:
        (T, 68, 3) pixels; z stays normalised.
    """
    landmarks = smoothed_landmarks(predicted, puppet, LIP_SMOOTHING)
    part_lips(landmarks)  # smoothing lets lips that touch overshoot
    return landmarks


def smoothed_landmarks(
    predicted: np.ndarray, puppet: Puppet, lip_smoothing: tuple[int, int]
) -> np.ndarray:
    """Smoothed landmarks (T, 68, 3) in pixels; `lip_smoothing`: window and order for the lips."""
    pixels = denormalise(predicted, puppet.scale, puppet.shift)
    return smooth_final(pixels, FACE_SMOOTHING, lip_smoothing)
