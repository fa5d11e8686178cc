"""Registration of faces: similarity transforms, the standard face, resting faces, head poses."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from src.face.geometry import NORMALISED_JAW_WIDTH, inner_lip_area
from src.face.topology import JAW_ENDS, MIRRORED, OUTER_EYE_CORNERS, RIGID_POINTS

STATIC_FRAMES = 5  # frames with least inner-mouth area, whose mean is the static face


def similarity(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least-squares similarity from points (..., N, D) to (..., N, D), never a reflection.

    Returns:
        scale (...,), rotation (..., D, D) and translation (..., D), such that
        `scale * points @ rotation + translation` is nearest to the target (Umeyama 1991).
    """
    source = np.asarray(source, np.float64)
    target = np.asarray(target, np.float64)
    source_mean = source.mean(-2, keepdims=True)
    target_mean = target.mean(-2, keepdims=True)
    source_centred = source - source_mean
    covariance = np.swapaxes(source_centred, -1, -2) @ (target - target_mean)
    left, singular, right = np.linalg.svd(covariance)
    signs = np.ones_like(singular)
    signs[..., -1] = np.sign(np.linalg.det(left) * np.linalg.det(right))
    rotation = (left * signs[..., None, :]) @ right
    scale = (singular * signs).sum(-1) / (source_centred**2).sum((-1, -2))
    translation = target_mean - scale[..., None, None] * (source_mean @ rotation)
    return scale, rotation, translation[..., 0, :]


def similarity_matrix(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """`similarity` as affine matrices (..., D, D + 1), which multiply columns (x, y, ..., 1)."""
    scale, rotation, translation = similarity(source, target)
    linear = scale[..., None, None] * np.swapaxes(rotation, -1, -2)
    return np.concatenate([linear, translation[..., None]], -1)


def register(landmarks: np.ndarray, reference: np.ndarray, keep_motion: bool = False) -> np.ndarray:
    """Remove head pose and size: align faces with a reference by the points of the skull.

    Args:
        landmarks: (..., 68, 3), x, y and z in the same unit.
        reference: (68, 3), for example the standard face.
        keep_motion: align the mean of a clip (T, 68, 3), instead of each face.

    Returns:
        (..., 68, 3) float64 in the reference's coordinates. Lips, brows and jaw are free.
    """
    points = np.asarray(landmarks, np.float64)
    rigid = (points.mean(0) if keep_motion else points)[..., RIGID_POINTS, :]
    scale, rotation, translation = similarity(rigid, np.asarray(reference)[RIGID_POINTS])
    return scale[..., None, None] * (points @ rotation) + translation[..., None, :]


def standard_face(faces: np.ndarray) -> np.ndarray:
    """Mean of detected faces (N, 68, 3) in pixels: symmetric, frontal, normalised (68, 3).

    Faces are aligned with their own mean (generalised Procrustes), which is made symmetric.
    """
    mean = _normalised(faces[0] - faces[0].mean(0))
    for _ in range(5):
        mean = register(faces, mean).mean(0)
        mirrored = mean[MIRRORED] * [-1.0, 1.0, 1.0]
        mean = _normalised(0.5 * (mean + register(mirrored, mean)))
    # The mirror image was aligned with the mean, not with its plane of symmetry: finish exactly.
    face = _normalised(0.5 * (mean + mean[MIRRORED] * [-1.0, 1.0, 1.0]))
    # Rotate about x until the outer corners of the eyes are level with the jaw's ends.
    jaw, eye = face[JAW_ENDS[0]], face[OUTER_EYE_CORNERS[0]]
    angle = np.arctan2(eye[1], eye[2] - jaw[2])
    cos, sin = np.cos(angle), np.sin(angle)
    rotation = np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
    return _normalised((face - jaw * [0, 1, 1]) @ rotation)


def _normalised(face: np.ndarray) -> np.ndarray:
    right, left = face[list(JAW_ENDS)]
    centre = 0.5 * (right + left)
    centre[2] = face[:, 2].mean()
    return (face - centre) * (NORMALISED_JAW_WIDTH / abs(left[0] - right[0]))


def static_face(registered: np.ndarray) -> np.ndarray:
    """Resting face (68, 3) of a clip (T, 68, 3).

    The release takes one frame; the mean of a few has less of the detector's noise.
    """
    area = np.abs(inner_lip_area(registered))
    return registered[np.argsort(area)[:STATIC_FRAMES]].mean(0)


def head_pose(track: np.ndarray, still: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and position of the head in each frame.

    Args:
        track: (T, 68, 3).
        still: (68, 3) of the same face.

    Returns:
        Rotations (T, 3, 3) that, multiplied from the right, turn the still face to the frame's,
        and the positions (T, 3) of the mean of the points that move with the skull only.
    """
    points = track[:, RIGID_POINTS]
    _, rotations, _ = similarity(np.broadcast_to(still[RIGID_POINTS], points.shape), points)
    return rotations, points.mean(1)


def rotation_angle(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Angles (T,) in degrees, 0 to 180, between rotations (T, 3, 3)."""
    # Not by the trace, whose slope is zero at 0: rounding errors would show.
    half = np.linalg.norm(first - second, axis=(-2, -1)) / np.sqrt(8)
    return np.degrees(2 * np.arcsin(np.clip(half, 0, 1)))


def head_angles(rotations: np.ndarray) -> np.ndarray:
    """Yaw, pitch and roll (T, 3) in degrees of `head_pose`'s rotations: about y, x and z.

    x points to the right of the image, y down, z towards the camera: a left-handed system, so the
    signs are not those of a textbook. Spreads and speeds do not depend on them.
    """
    columns = np.swapaxes(rotations, -1, -2)  # as it multiplies column vectors: Rz Ry Rx
    yaw = np.arcsin(np.clip(-columns[..., 2, 0], -1, 1))
    pitch = np.arctan2(columns[..., 2, 1], columns[..., 2, 2])
    roll = np.arctan2(columns[..., 1, 0], columns[..., 0, 0])
    return np.degrees(np.stack([yaw, pitch, roll], -1))


class HeadPoses(NamedTuple):
    """Head poses of a clip, named as in the published dumps."""

    rot_trans: np.ndarray  # (T, 3, 4): maps points (x, y, z, 1) of the registered face to the clip
    rot_quat: np.ndarray  # (T, 4): its rotation as a unit quaternion (w, x, y, z), w >= 0
    anchor_t_shape: np.ndarray  # (T, 204): the face of each frame registered


def head_poses(posed: np.ndarray, standard: np.ndarray) -> HeadPoses:
    """Separate pose and shape of landmarks (T, 204) by registration with a face (68, 3)."""
    from scipy.spatial.transform import Rotation

    track = np.asarray(posed, np.float64).reshape(len(posed), -1, 3)
    registered = register(track, standard)
    rigid = registered[:, RIGID_POINTS], track[:, RIGID_POINTS]
    _, rotation, _ = similarity(*rigid)
    # `similarity` multiplies rows; quaternions rotate columns.
    quaternions = Rotation.from_matrix(np.swapaxes(rotation, -1, -2)).as_quat(canonical=True)
    arrays = (
        similarity_matrix(*rigid),
        quaternions[:, [3, 0, 1, 2]],
        registered.reshape(len(track), -1),
    )
    return HeadPoses(*(array.astype(np.float32) for array in arrays))
