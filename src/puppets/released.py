"""Creation and animation of puppets step for step as in the published release.

Offers the functions of `motion`, and `new_puppet` of `create`, under the same names.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from src.face.topology import INNER_LIP_PAIRS, OUTER_LIP_PAIRS
from src.puppets import create
from src.puppets.mesh import delaunay
from src.puppets.motion import smoothed_landmarks
from src.puppets.puppet import Puppet, renderer

__all__ = ["finish", "new_puppet", "opening_gain", "renderer", "repaired", "resting_face"]

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


def repaired(puppet: Puppet) -> Puppet:
    """The puppet itself: the release uses puppet files as they are."""
    return puppet


def resting_face(puppet: Puppet, _standard_depth: np.ndarray) -> np.ndarray:
    """The closed face (68, 3) with the depth of the puppet's file, ten times a portrait's."""
    return np.array(puppet.closed_face)


def opening_gain(_puppet: Puppet) -> float:
    """1: the release moves every puppet's lips as far as a real face's."""
    return 1.0


def finish(predicted: np.ndarray, puppet: Puppet) -> np.ndarray:
    """Smooth predicted landmarks (T, 68, 3), normalised, and bring them to the image's pixels."""
    return smoothed_landmarks(predicted, puppet, LIP_SMOOTHING)
