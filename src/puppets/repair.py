"""Repairs of puppets as they are read: closed faces that do not fit, open mouths, image frames."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np

from src.face.geometry import inner_lip_gap, jaw_width, mouth_width
from src.face.topology import FACE_WITHOUT_LIPS
from src.puppets.closing import OUTLINE_THICKNESS, close_lips, inset_inner_lips
from src.puppets.puppet import Puppet, normalised_face

MAX_OFFSET = 0.1
"""Largest distance of a closed face (without lips) from the image's landmarks, in jaw widths."""

FRAME_CONTRAST = 20.0
FRAME_RATIO = 4.0
"""The outermost row of pixels is a frame if it differs from the second row by more than this many
grey levels, and by more than this many times the difference of the second row from the third."""

log = logging.getLogger(__name__)


def repaired(puppet: Puppet) -> Puppet:
    """A puppet whose closed face fits the image, whose lips touch, and whose image has no frame.

    In the release's puppets, a quarter of the image's mouth opening remains in the closed face.
    The closed face of one of them (roy) belongs to another image, so that the mesh would fold at
    the ears. Mouths without lips are marked along the outside of their outline, see
    `closing.inset_inner_lips`.
    """
    offset = np.linalg.norm(puppet.closed_landmarks - puppet.landmarks, axis=1)
    offset = offset[FACE_WITHOUT_LIPS].max()
    landmarks, face = puppet.landmarks, puppet.closed_face
    scale, shift = puppet.scale, puppet.shift
    if offset > MAX_OFFSET * jaw_width(puppet.landmarks):
        log.warning(
            "%s: the closed face lies %.0f pixels off the image and is recomputed",
            puppet.name,
            offset,
        )
        face, scale, shift = normalised_face(landmarks, face[:, 2], puppet.name)
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
        if len(side) < 3 or (side.shape[2] == 4 and (side[0, :, 3] < 255).any()):
            continue
        first, second, third = side[:3, :, :3].astype(np.float64)
        contrast = np.abs(first - second).mean()
        if contrast > max(FRAME_CONTRAST, FRAME_RATIO * np.abs(second - third).mean()):
            side[0] = side[1]
    return image
