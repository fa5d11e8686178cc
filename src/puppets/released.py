"""Creation and animation of puppets step for step as in the published release."""

from __future__ import annotations

import dataclasses

import numpy as np

from src.face.topology import INNER_LIP_PAIRS, OUTER_LIP_PAIRS
from src.motion.smoothing import smooth_final
from src.puppets import create
from src.puppets.mesh import delaunay
from src.puppets.motion import FACE_SMOOTHING
from src.puppets.puppet import Puppet

LIP_SMOOTHING = (11, 3)
"""Savitzky-Golay window in frames of 1/62.5 s and order."""


def new_puppet(*args, **options) -> Puppet:
    """As `create.new_puppet`, with a mouth that stays ajar and plain Delaunay triangles."""
    puppet = create.new_puppet(*args, **options)
    return dataclasses.replace(
        puppet,
        closed_face=close_mouth(puppet.open_face),
        triangles=delaunay(puppet.vertices(puppet.landmarks)),
    )


def close_mouth(face: np.ndarray) -> np.ndarray:
    """Close the mouth of a normalised face (68, 3); a new array.

    Every step uses the result of the previous one, so that a quarter of the gap remains.
    """
    face = np.array(face, np.float64)
    for upper, lower in OUTER_LIP_PAIRS:
        face[upper, 1] = 0.7 * face[upper, 1] + 0.3 * face[lower, 1]
        face[lower, 1] = 0.4 * face[upper, 1] + 0.6 * face[lower, 1]
    for upper, lower in INNER_LIP_PAIRS:
        face[upper, 1] = 0.5 * face[upper, 1] + 0.5 * face[lower, 1]
        face[lower, 1] = 0.5 * face[upper, 1] + 0.5 * face[lower, 1]
        face[upper, 0] = 0.6 * face[upper, 0] + 0.4 * face[lower, 0]
        face[lower, 0] = 0.6 * face[upper, 0] + 0.4 * face[lower, 0]
    return face


def finish(landmarks: np.ndarray) -> np.ndarray:
    """Smooth predicted landmarks (T, 68, 3) in pixels."""
    return smooth_final(landmarks, FACE_SMOOTHING, LIP_SMOOTHING)
