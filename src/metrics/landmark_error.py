"""Errors of predicted landmarks: the paper's metrics (section 6).

Landmarks are (T, 68, 3), predicted and ground truth of the same clip in the same unit; the face at
rest is (68, 3).
"""

from __future__ import annotations

import numpy as np

from src.face.geometry import inner_lip_area, jaw_width, mouth_width
from src.face.registration import head_pose, rotation_angle
from src.face.topology import JAW, LOWER_LIP

JAW_AND_LOWER_LIP = [*range(JAW.start, JAW.stop), *LOWER_LIP]


def mean_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Mean Euclidean distance of points (..., D); NaN where there are none."""
    distances = np.linalg.norm(first - second, axis=-1)
    return float(distances.mean()) if len(distances) else float("nan")


def lip_distance(predicted: np.ndarray, reference: np.ndarray, order: int) -> float:
    """D-LL: distance of the points of jaw and lower lip, percent of the mouth's largest width.

    D-VL: of their velocities, the differences of consecutive frames; order 1 instead of 0.
    """
    tracks = (track[:, JAW_AND_LOWER_LIP] for track in (predicted, reference))
    distance = mean_distance(*(np.diff(track, order, axis=0) for track in tracks))
    return distance / (mouth_width(reference).max() / 100)


def d_a(predicted: np.ndarray, reference: np.ndarray) -> float:
    """D-A: difference of the area between the inner lips, percent of the largest.

    Crossed lips have no area. NaN where the ground truth's mouth never opens.
    """
    areas = [np.maximum(inner_lip_area(track), 0) for track in (predicted, reference)]
    largest = areas[1].max()
    return 100 * float(np.abs(areas[0] - areas[1]).mean() / largest if largest > 0 else np.nan)


def face_distance(predicted: np.ndarray, reference: np.ndarray, order: int) -> float:
    """D-L (order 0) and D-V (1): as `lip_distance`, of all points, percent of the face's width."""
    distance = mean_distance(*(np.diff(track, order, axis=0) for track in (predicted, reference)))
    return distance / (jaw_width(reference).mean() / 100)


def d_rot(predicted: np.ndarray, reference: np.ndarray, still: np.ndarray) -> float:
    """D-Rot: angle between the rotations of the head, degrees."""
    rotations = (head_pose(track, still)[0] for track in (predicted, reference))
    return float(rotation_angle(*rotations).mean())


def d_pos(predicted: np.ndarray, reference: np.ndarray, still: np.ndarray) -> float:
    """D-Pos: distance of the positions of the head, percent of the face's mean width."""
    positions = (head_pose(track, still)[1] for track in (predicted, reference))
    return mean_distance(*positions) / (jaw_width(reference).mean() / 100)
