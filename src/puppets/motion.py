"""Default animation of a puppet's landmarks: like a portrait's, but without blinks."""

from __future__ import annotations

import numpy as np

from src.face.geometry import NORMALISED_JAW_WIDTH, central_lip_gap
from src.motion.default import part_lips
from src.motion.smoothing import smooth_final
from src.puppets.puppet import Puppet

FACE_SMOOTHING = (17, 3)
"""Savitzky-Golay window in frames of 1/62.5 s and order (published release). Lips are smoothed as
a portrait's: with the release's 11 frames (0.18 s), 66.7 % instead of 71.8 % of them leave less
than a tenth of an open vowel's gap at p, b and m."""

SPOKEN_OPENING = 0.06
"""Gap between the inner lips in an open vowel at `--amp_lip_y 2`, in jaw widths: the median over
thirteen puppets with the embedded weights."""

VOWEL_OPENING = 0.5
"""Fraction of the image's mouth opening that an open vowel reaches; the widest vowels then reach
all of it."""

MAX_GAIN = 2.0


def opening_gain(puppet: Puppet) -> float:
    """Factor on the vertical lip motion, from 1 to `MAX_GAIN`.

    A mouth that is drawn wide open should open wide. Speech opens real mouths by a third of that,
    which would show little of the mouth's inside.
    """
    jaw_width = NORMALISED_JAW_WIDTH / abs(puppet.scale)
    opening = central_lip_gap(puppet.landmarks) / jaw_width
    return float(np.clip(VOWEL_OPENING * opening / SPOKEN_OPENING, 1.0, MAX_GAIN))


def finish(landmarks: np.ndarray) -> np.ndarray:
    """Smooth predicted landmarks (T, 68, 3) in pixels; lips do not cross."""
    landmarks = smooth_final(landmarks, FACE_SMOOTHING)
    part_lips(landmarks)  # smoothing lets lips that touch overshoot
    return landmarks
