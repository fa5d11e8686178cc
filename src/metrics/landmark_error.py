"""Errors of predicted landmarks: the paper's metrics (section 6)."""

from __future__ import annotations

import numpy as np

from src.face.geometry import inner_lip_area
from src.face.pose import head_pose, rotation_angle
from src.face.topology import JAW, LOWER_LIP
from src.metrics.cases import HeadMotion, LipMotion

JAW_AND_LOWER_LIP = [*range(JAW.start, JAW.stop), *LOWER_LIP]


def mean_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Mean Euclidean distance of points (..., D); NaN where there are none."""
    distances = np.linalg.norm(first - second, axis=-1)
    return float(distances.mean()) if len(distances) else float("nan")


def velocity_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Mean distance of the differences of consecutive frames (T, ..., D)."""
    return mean_distance(np.diff(first, axis=0), np.diff(second, axis=0))


def d_ll(case: LipMotion) -> float:
    """D-LL: distance of the points of jaw and lower lip, percent of the mouth's width."""
    tracks = (track[:, JAW_AND_LOWER_LIP] for track in (case.predicted, case.reference))
    return mean_distance(*tracks) / case.percent


def d_vl(case: LipMotion) -> float:
    """D-VL: distance of the velocities of jaw and lower lip, percent of the mouth's width."""
    tracks = (track[:, JAW_AND_LOWER_LIP] for track in (case.predicted, case.reference))
    return velocity_distance(*tracks) / case.percent


def d_a(case: LipMotion) -> float:
    """D-A: difference of the area between the inner lips, percent of the largest.

    Crossed lips have no area. NaN where the ground truth's mouth never opens.
    """
    tracks = (case.predicted, case.reference)
    predicted, reference = (np.maximum(inner_lip_area(track), 0) for track in tracks)
    largest = reference.max()
    return 100 * float(np.abs(predicted - reference).mean() / largest if largest > 0 else np.nan)


def d_l(case: HeadMotion) -> float:
    """D-L: distance of all points, percent of the face's width."""
    return mean_distance(case.predicted, case.reference) / case.percent


def d_v(case: HeadMotion) -> float:
    """D-V: distance of the velocities of all points, percent of the face's width."""
    return velocity_distance(case.predicted, case.reference) / case.percent


def d_rot(case: HeadMotion) -> float:
    """D-Rot: angle between the rotations of the head, degrees."""
    tracks = (case.predicted, case.reference)
    rotations = (head_pose(track, case.still)[0] for track in tracks)
    return float(rotation_angle(*rotations).mean())


def d_pos(case: HeadMotion) -> float:
    """D-Pos: distance of the positions of the head, percent of the face's width."""
    tracks = (case.predicted, case.reference)
    positions = (head_pose(track, case.still)[1] for track in tracks)
    return mean_distance(*positions) / case.percent
