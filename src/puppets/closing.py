"""Closing of puppets' mouths, and repair of puppets whose files do not fit their image."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np

from src.face.geometry import close_mouth, inner_lip_gap, jaw_width, mouth_width, normalise
from src.face.topology import FACE_WITHOUT_LIPS, INNER_LIP_PAIRS
from src.puppets.puppet import Puppet

OUTLINE_THICKNESS = 0.02
"""Thickness of the outline of a mouth without lips, in mouth widths (lower bound)."""

MAX_OFFSET = 0.1
"""Largest distance of a closed face (without lips) from the image's landmarks, in jaw widths."""

FRAME_CONTRAST = 20.0
FRAME_RATIO = 4.0
"""The outermost row of pixels is a frame if it differs from the second row by more than this many
grey levels, and by more than this many times the difference of the second row from the third."""

log = logging.getLogger(__name__)


def close_lips(face: np.ndarray) -> np.ndarray:
    """Close the mouth of a face (68, 3) in x and y until the inner lips touch; a new array.

    The outer lips follow the inner ones, so that lips keep their thickness.
    """
    return np.column_stack([close_mouth(face[:, :2], amount=1.0), face[:, 2]])


def inset_inner_lips(landmarks: np.ndarray) -> np.ndarray:
    """Move the inner lips of landmarks (68, 2) inside the mouth's outline; a new array.

    If a mouth without lips is marked along the outside of its outline, the outline would vanish
    as the mouth closes, together with the mouth's inside. The corners stay.
    """
    points = np.array(landmarks, np.float64)
    thickness = OUTLINE_THICKNESS * mouth_width(points)
    for upper, lower in INNER_LIP_PAIRS:
        gap = points[lower] - points[upper]
        step = gap * min(thickness / max(np.linalg.norm(gap), 1e-12), 0.25)
        points[upper] += step
        points[lower] -= step
    return points


def repaired(puppet: Puppet) -> Puppet:
    """A puppet whose closed face fits the image, whose lips touch, and whose image has no frame.

    In the release's puppets, a quarter of the image's mouth opening remains in the closed face.
    The closed face of one of them (roy) belongs to another image, so that the mesh would fold at
    the ears, and mouths without lips are marked along the outside of their outline. The image of
    another one (danbooru1) has a frame.
    """
    landmarks, face = puppet.landmarks, puppet.closed_face
    scale, shift = puppet.scale, puppet.shift
    offset = np.linalg.norm(puppet.closed_landmarks - landmarks, axis=1)[FACE_WITHOUT_LIPS].max()
    if offset > MAX_OFFSET * jaw_width(landmarks):
        log.warning(
            "%s: the closed face lies %.0f pixels off the image and is recomputed",
            puppet.name,
            offset,
        )
        face, scale, shift = normalise(np.column_stack([landmarks, face[:, 2]]), face[:, 2])
    if puppet.inner_lip and inner_lip_gap(face) > OUTLINE_THICKNESS * mouth_width(face[:, :2]):
        landmarks = inset_inner_lips(landmarks)
    return dataclasses.replace(
        puppet,
        image=without_frame(puppet.image),
        landmarks=landmarks,
        closed_face=close_lips(face),
        scale=scale,
        shift=shift,
    )


def without_frame(image: np.ndarray) -> np.ndarray:
    """An image (H, W, C) without a frame one pixel wide, such as careless cropping leaves.

    Where the head moves, the image's border pixels are repeated outwards: a frame would become a
    bar.
    """
    image = image.copy()
    for turns in range(4):
        side = np.rot90(image, turns)  # a view
        if side.shape[2] == 4 and (side[0, :, 3] < 255).any():
            continue
        first, second, third = side[:3, :, :3].astype(np.float64)
        contrast = np.abs(first - second).mean()
        if contrast > max(FRAME_CONTRAST, FRAME_RATIO * np.abs(second - third).mean()):
            side[0] = side[1]
    return image
