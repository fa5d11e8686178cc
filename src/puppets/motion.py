"""A voice moves a puppet: like a portrait, from a face whose mouth is closed, without blinks."""

from __future__ import annotations

import numpy as np

from src.face.geometry import (
    DEPTH_FACTOR,
    NORMALISED_JAW_WIDTH,
    denormalise,
)
from src.face.topology import FACE_WITHOUT_LIPS, LIPS
from src.motion.default import part_lips
from src.motion.smoothing import smooth
from src.puppets.puppet import Puppet

FACE_SMOOTHING = (17, 3)
LIP_SMOOTHING_AS_RELEASED = (11, 3)
"""Savitzky-Golay window in frames of 1/62.5 s and order (published release)."""

LIP_SMOOTHING = (5, 3)
"""As for portraits. Over 11 frames, 0.18 s, fewer lips meet for p, b and m: 66.7 % of them instead
of 71.8 % leave less than a tenth of an open vowel's gap. Motion is not jittery for it: 0.5 % of it
is above 8 Hz, and 0.05 % with 11 frames."""

SPOKEN_OPENING = 0.06
"""Gap between the inner lips in an open vowel at `--amp_lip_y 2`, in widths of the jaw: the median
over thirteen puppets with the embedded weights."""

OPENED_BY_VOWELS = 0.5
"""How much of the drawn opening an open vowel shows; the widest ones then reach all of it."""

MOST_GAIN = 2.0


def opening_gain(puppet: Puppet) -> float:
    """How much further than a real face's lips a puppet's go up and down: 1 to `MOST_GAIN`.

    A mouth that was drawn wide open is meant to be seen so. Speech opens real mouths by a third of
    that, which shows little of what was drawn inside.
    """
    jaw = NORMALISED_JAW_WIDTH / abs(puppet.scale)
    upper, lower = puppet.landmarks[[62, 66], 1]
    drawn = (lower - upper) / jaw
    return float(np.clip(OPENED_BY_VOWELS * drawn / SPOKEN_OPENING, 1.0, MOST_GAIN))


def resting_face(puppet: Puppet, standard_depth: np.ndarray, *, as_released: bool) -> np.ndarray:
    """The closed face (68, 3), normalised, that the networks move.

    Args:
        puppet: with its closed face.
        standard_depth: (68,) of the standard face.
        as_released: take the depth of the puppet's file, ten times that of the portraits that the
            networks were trained on.
    """
    face = np.array(puppet.closed_face)
    if not as_released:
        face[:, 2] = DEPTH_FACTOR * standard_depth
    return face


def finish_puppet(predicted: np.ndarray, puppet: Puppet, *, as_released: bool) -> np.ndarray:
    """Predicted landmarks (T, 68, 3), normalised, to smoothed ones in the drawing's pixels."""
    pixels = denormalise(predicted, puppet.scale, puppet.shift)
    lips = LIP_SMOOTHING_AS_RELEASED if as_released else LIP_SMOOTHING
    smoothed = np.concatenate(
        [smooth(pixels[:, FACE_WITHOUT_LIPS], *FACE_SMOOTHING), smooth(pixels[:, LIPS], *lips)],
        axis=1,
    )
    if not as_released:
        part_lips(smoothed)  # smoothing lets lips that met overshoot
    return smoothed
