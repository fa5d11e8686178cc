"""A voice moves a puppet: like a portrait, from a face whose mouth is closed, without blinks."""

from __future__ import annotations

import numpy as np

from src.landmarks.geometry import DEPTH_FACTOR, denormalise
from src.landmarks.motion import part_lips, smooth
from src.landmarks.topology import FACE_WITHOUT_LIPS, LIPS
from src.puppets import Puppet

FACE_SMOOTHING = (17, 3)
LIP_SMOOTHING_AS_RELEASED = (11, 3)
"""Savitzky-Golay window in frames of 1/62.5 s and order (published release)."""

LIP_SMOOTHING = (5, 3)
"""As for portraits: over 11 frames, 0.18 s, lips that close for a p or b do not meet."""


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
