"""Pose of the head: rotations and positions of landmarks that move with it."""

from __future__ import annotations

import numpy as np

from src.face.registration import similarity
from src.face.topology import RIGID_POINTS


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
