"""Creation of a puppet from an image and the 68 landmarks of its face."""

from __future__ import annotations

import logging

import numpy as np

from src.face.contours import fit_inner_lips
from src.face.drawings import detect_drawn_face
from src.face.geometry import central_lip_gap, mouth_width, normalise
from src.puppets.closing import close_lips, inset_inner_lips
from src.puppets.mesh import mesh_vertices, outside_points, triangulate
from src.puppets.puppet import Puppet

CLOSED_OPENING = 0.05
"""Mouth opening in mouth widths below which nothing of the mouth's inside can be seen."""

INITIAL_FACE_WIDTH = 0.5
"""Width of `initial_face`, as a fraction of the image's shorter side."""

log = logging.getLogger(__name__)


def new_puppet(
    name: str,
    image: np.ndarray,
    landmarks: np.ndarray,
    standard_depth: np.ndarray,
    *,
    inner_lip: bool = False,
) -> Puppet:
    """Create a puppet from an image and its landmarks.

    Args:
        name: name of the puppet.
        image: uint8 (H, W, 3 or 4), BGR or BGRA.
        landmarks: (68, 2) pixels of the image.
        standard_depth: (68,) depth of the standard face, which is not scaled for a puppet.
        inner_lip: leave the outer lips out of the mesh, for mouths without visible lips.
    """
    points = np.array(landmarks, np.float64)
    if central_lip_gap(points) < CLOSED_OPENING * mouth_width(points):
        log.warning("%s: the mouth is closed, so its inside will not be visible", name)
    face, scale, shift = normalise(np.column_stack([points, standard_depth]), standard_depth)
    face[:, 2] = standard_depth
    outside = outside_points(image.shape[1], image.shape[0])
    triangles = triangulate(mesh_vertices(points, outside, inner_lip), inner_lip)
    closed_face = close_lips(face)
    return Puppet(name, image, points, closed_face, scale, shift, triangles, outside, inner_lip)


def detect_puppet_landmarks(
    image: np.ndarray, detector: str, name: str, inner_lip: bool
) -> np.ndarray:
    """Landmarks (68, 2) of the face in an image, in pixels; arguments as for `detect_drawn_face`.

    With `inner_lip`, the inner lips are fitted to the outline of a mouth without visible lips.
    """
    landmarks = detect_drawn_face(image, detector, name)
    return inset_inner_lips(fit_inner_lips(image, landmarks)) if inner_lip else landmarks


def initial_face(image: np.ndarray, standard_face: np.ndarray) -> np.ndarray:
    """The standard face (68, 3) in the centre of an image: (68, 2) pixels, a start for `--edit`."""
    height, width = image.shape[:2]
    centre = np.array([width - 1, height - 1]) / 2
    face = standard_face[:, :2].astype(np.float64)
    face -= (face.min(0) + face.max(0)) / 2
    return centre + face * (INITIAL_FACE_WIDTH * min(width, height) / np.ptp(face[:, 0]))
