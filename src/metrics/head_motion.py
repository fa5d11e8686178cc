"""Extent of head motion: its spread and speed in landmarks and in videos."""

from __future__ import annotations

import numpy as np

from src.data.clips import face_detected
from src.face.geometry import jaw_width
from src.face.registration import head_angles, head_pose
from src.face.topology import NOSE_TIP, OUTER_EYE_CORNERS
from src.io.audio import FRAME_RATE
from src.metrics.landmark_error import mean_distance

Curves = dict[str, np.ndarray]
"""Position of the nose (T, 2), percent of the face's width; yaw, pitch and roll (T, 1), degrees."""


def head_curves(landmarks: np.ndarray, still: np.ndarray) -> Curves:
    """Motion of landmarks (T, 68, 3) at `FRAME_RATE`, whose face at rest is (68, 3)."""
    angles = head_angles(head_pose(landmarks, still)[0])
    yaw, pitch, roll = np.unwrap(angles, period=360, axis=0).T[..., None]
    nose = landmarks[:, NOSE_TIP, :2] / (jaw_width(still) / 100)
    return {"nose": nose, "yaw": yaw, "pitch": pitch, "roll": roll}


def image_curves(landmarks: np.ndarray) -> Curves:
    """Nose and roll of landmarks (T, 68, >=2) found in a video, without frames that show no face.

    NaN where no frame shows one.
    """
    found = face_detected(landmarks)
    points = (landmarks[found] if found.any() else landmarks[:1])[..., :2]
    right, left = OUTER_EYE_CORNERS
    x, y = (points[:, left] - points[:, right]).T
    nose = points[:, NOSE_TIP] / (jaw_width(points).mean() / 100)
    return {"nose": nose, "roll": np.degrees(np.arctan2(y, x))[:, None]}


def spread(curves: Curves, name: str) -> float:
    """Standard deviation over time of a curve, in its unit."""
    return float(np.sqrt(curves[name].var(0).sum()))


def speed(curves: Curves, name: str) -> float:
    """Mean absolute change per second of a curve."""
    return FRAME_RATE * mean_distance(curves[name][1:], curves[name][:-1])


def face_found(landmarks: np.ndarray) -> float:
    """Percentage of the frames of a video where a face was found."""
    return 100 * float(face_detected(landmarks).mean())
