"""Extent of head motion: its spread and speed in landmarks and in videos."""

from __future__ import annotations

import numpy as np

from src.face.geometry import jaw_width
from src.face.topology import NOSE_TIP, OUTER_EYE_CORNERS
from src.metrics.cases import HeadTrack, VideoTrack
from src.metrics.landmark_error import mean_distance


def spread(case: HeadTrack, curve: str) -> float:
    """Standard deviation over time of one of `HeadTrack.curves`, in its unit."""
    return float(np.sqrt(case.curves[curve].var(0).sum()))


def speed(case: HeadTrack, curve: str) -> float:
    """Mean absolute change per second of one of `HeadTrack.curves`."""
    values = case.curves[curve]
    return case.rate * mean_distance(values[1:], values[:-1])


def nose_spread(case: VideoTrack) -> float:
    """Standard deviation of the tip of the nose, percent of the jaw's width; NaN without a face."""
    points = case.landmarks[case.detected, :, :2]
    if not len(points):
        return float("nan")
    return 100 * float(np.sqrt(points[:, NOSE_TIP].var(0).sum()) / jaw_width(points).mean())


def roll_spread(case: VideoTrack) -> float:
    """Standard deviation of the angle of the line between the eyes, degrees; NaN without a face."""
    points = case.landmarks[case.detected, :, :2]
    if not len(points):
        return float("nan")
    right, left = OUTER_EYE_CORNERS
    across = points[:, left] - points[:, right]
    return float(np.degrees(np.arctan2(across[:, 1], across[:, 0])).std())
