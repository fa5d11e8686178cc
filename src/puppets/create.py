"""Creation of a puppet from an image and the 68 landmarks of its face."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from src.errors import InputError
from src.face.geometry import central_lip_gap, mouth_width
from src.puppets.closing import close_lips, inset_inner_lips
from src.puppets.mesh import mesh_vertices, outside_points, triangulate
from src.puppets.puppet import Puppet, normalised_face

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
        standard_depth: (68,) depth of the standard face.
        inner_lip: leave the outer lips out of the mesh, for mouths without visible lips.

    Raises:
        InputError: the landmarks are not those of a face.
    """
    points = np.array(landmarks, np.float64)
    face, scale, shift = normalised_face(points, standard_depth, name)
    outside = outside_points(image.shape[1], image.shape[0])
    triangles = triangulate(mesh_vertices(points, outside, inner_lip), inner_lip)
    closed_face = close_lips(face)
    return Puppet(name, image, points, closed_face, scale, shift, triangles, outside, inner_lip)


def detect_landmarks(
    image: np.ndarray, detector: str, name: str, *, inner_lip: bool = False
) -> np.ndarray:
    """Landmarks (68, 2) of the face in an image, in pixels.

    Args:
        image: uint8 (H, W, 3 or 4), BGR or BGRA.
        detector: one of `src.face.detectors.CHOICES`.
        name: name of the image in messages.
        inner_lip: fit the inner lips to the outline of a mouth without visible lips.

    Raises:
        InputError: no face is found.
    """
    from src.face.contours import fit_inner_lips
    from src.face.drawings import detect_drawn_face

    landmarks = detect_drawn_face(image, detector, name)
    return inset_inner_lips(fit_inner_lips(image, landmarks)) if inner_lip else landmarks


def initial_face(image: np.ndarray, standard_face: np.ndarray) -> np.ndarray:
    """The standard face (68, 3) in the centre of an image: (68, 2) pixels, a start for `--edit`."""
    height, width = image.shape[:2]
    centre = np.array([width - 1, height - 1]) / 2
    face = standard_face[:, :2].astype(np.float64)
    face -= (face.min(0) + face.max(0)) / 2
    return centre + face * (INITIAL_FACE_WIDTH * min(width, height) / np.ptp(face[:, 0]))


def check_landmarks(landmarks: np.ndarray, image: np.ndarray, source: Path) -> None:
    """Check that landmarks (68, 2) lie in the image, and warn about a closed mouth.

    Raises:
        InputError: fewer than half of them lie in the image.
    """
    height, width = image.shape[:2]
    inside = ((landmarks >= 0) & (landmarks < (width, height))).all(axis=1).sum()
    if inside < len(landmarks) // 2:
        raise InputError(
            f"{source}: only {inside} of 68 points lie in the image of {width} x {height}"
        )
    if central_lip_gap(landmarks) < CLOSED_OPENING * mouth_width(landmarks):
        log.warning("%s: the mouth is closed, so its inside will not be visible", source)
