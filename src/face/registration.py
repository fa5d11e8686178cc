"""Faces that clips are laid on: the standard face, a clip's own at rest, and how its head goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from src.face.geometry import (
    NORMALISED_JAW_WIDTH,
    inner_lip_area,
    register,
    similarity,
)
from src.face.topology import (
    RIGHT_EYE,
    RIGID_POINTS,
    mirror_order,
)

STANDARD_FACE_ROUNDS = 5
STATIC_FRAMES = 5  # frames of the most closed mouth that make the static face


def standard_face(faces: np.ndarray) -> np.ndarray:
    """Mean of detected faces (N, 68, 3) in pixels: symmetric, frontal, normalised (68, 3).

    Faces are aligned with their own mean (generalised Procrustes); the mean is made symmetric,
    scaled to the normalised jaw width and put with the jaw's ends at the origin of x and y.
    """
    mean = _rest_on_jaw(faces[0] - faces[0].mean(0))
    order = mirror_order()
    for _ in range(STANDARD_FACE_ROUNDS):
        mean = register(faces, mean).mean(0)
        mirrored = mean[order] * [-1.0, 1.0, 1.0]
        mean = _rest_on_jaw(0.5 * (mean + register(mirrored, mean)))
    # The mirror image was laid on the mean, not on its plane of symmetry: finish exactly.
    return _upright(_rest_on_jaw(0.5 * (mean + mean[order] * [-1.0, 1.0, 1.0])))


def _upright(face: np.ndarray) -> np.ndarray:
    """Nod a symmetric face until the outer corners of the eyes are level with the jaw's ends."""
    eye = face[RIGHT_EYE.start]
    angle = np.arctan2(eye[1], eye[2] - face[0, 2])
    cos, sin = np.cos(angle), np.sin(angle)
    nod = np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
    return _rest_on_jaw((face - face[0] * [0, 1, 1]) @ nod)


def _rest_on_jaw(face: np.ndarray) -> np.ndarray:
    centre = 0.5 * (face[0] + face[16])
    centre[2] = face[:, 2].mean()
    return (face - centre) * (NORMALISED_JAW_WIDTH / abs(face[16, 0] - face[0, 0]))


def static_face(registered: np.ndarray) -> np.ndarray:
    """The face at rest of a clip (T, 68, 3): its frames of least inner-mouth area, averaged.

    The release takes one frame; a few have less of the detector's noise.
    """
    area = np.abs(inner_lip_area(registered))
    return registered[np.argsort(area)[:STATIC_FRAMES]].mean(0)


def register_whole(track: np.ndarray, standard: np.ndarray) -> np.ndarray:
    """Bring a clip (T, 68, 3) in pixels to normalised coordinates with its head motion kept.

    The similarity that lays the clip's mean pose on the standard face is applied to all frames.
    """
    rigid = list(RIGID_POINTS)
    scale, rotation, translation = similarity(track.mean(0)[rigid], standard[rigid])
    return scale * (track @ rotation) + translation


@dataclass(frozen=True)
class HeadCourse:
    """How the head of a clip goes, by the names of the published dumps."""

    FIELDS: ClassVar = ("rot_trans", "rot_quat", "anchor_t_shape")

    rot_trans: np.ndarray  # (T, 3, 4): takes the anchored face's points (x, y, z, 1) to the clip's
    rot_quat: np.ndarray  # (T, 4): its rotation as a unit quaternion (w, x, y, z), w not negative
    anchor_t_shape: np.ndarray  # (T, 204): the face laid on the standard face in every frame

    def first(self, frames: int) -> HeadCourse:
        """The beginning of the clip."""
        return HeadCourse(*(getattr(self, key)[:frames] for key in self.FIELDS))


def head_course(posed: np.ndarray, standard: np.ndarray) -> HeadCourse:
    """What is pose and what is shape in landmarks (T, 204) that move with the head.

    Args:
        standard: (68, 3) face, on which the points of the skull are laid.
    """
    from scipy.spatial.transform import Rotation

    track = np.asarray(posed, np.float64).reshape(len(posed), -1, 3)
    anchored, rigid = register(track, standard), list(RIGID_POINTS)
    scale, rotation, translation = similarity(anchored[:, rigid], track[:, rigid])
    turn = np.swapaxes(rotation, -1, -2)  # similarity multiplies rows, here columns are meant
    moved = np.concatenate([scale[:, None, None] * turn, translation[..., None]], -1)
    quaternions = Rotation.from_matrix(turn).as_quat(canonical=True)[:, [3, 0, 1, 2]]
    shapes = anchored.reshape(len(track), -1)
    return HeadCourse(*(array.astype(np.float32) for array in (moved, quaternions, shapes)))
