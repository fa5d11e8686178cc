"""Simple faces whose measures are known."""

import cv2
import numpy as np

from src.face.topology import EYELID_PAIRS, LANDMARK_COUNT, RIGID_POINTS


def simple_face(frames: int = 1) -> np.ndarray:
    """(frames, 68, 3): jaw 100 wide, outer eye corners 60 apart, lids and lips together."""
    face = np.zeros((frames, LANDMARK_COUNT, 3))
    face[:, 0, 0], face[:, 16, 0] = -50, 50
    face[:, 36, 0], face[:, 39, 0] = -30, -10
    face[:, 42, 0], face[:, 45, 0] = 10, 30
    face[:, 30, 1] = 20
    face[:, 48:68, 1] = 40
    for points, start, step in ((range(60, 65), -20, 10), (range(64, 68), 20, -10)):
        for number, point in enumerate(points):
            face[:, point, 0] = start + step * number
    return face


def open_eyes(face: np.ndarray, gap: float | np.ndarray) -> np.ndarray:
    """Put the lids `gap` apart, a number or one for each frame."""
    for upper, lower in EYELID_PAIRS:
        face[:, upper, 1], face[:, lower, 1] = -np.asarray(gap) / 2, np.asarray(gap) / 2
    return face


def irregular_face(frames: int = 1) -> np.ndarray:
    """(frames, 68, 3): face 100 wide, mouth 40 wide and 2 high, eyes 60 apart, nose in depth."""
    points = np.random.default_rng(0).uniform(-40, 40, (LANDMARK_COUNT, 3))
    points[[0, 16]] = [-50, 0, 0], [50, 0, 0]
    points[[48, 54]] = [-20, 40, 0], [20, 40, 0]
    points[[36, 45]] = [-30, -10, 0], [30, -10, 0]
    inner = [(-15, 40), (-10, 39), (0, 39), (10, 39), (15, 40), (10, 41), (0, 41), (-10, 41)]
    points[60:68] = [(x, y, 0) for x, y in inner]
    return np.repeat(points[None], frames, 0)


def turned(track: np.ndarray, degrees: float, axis: int) -> np.ndarray:
    """Turn a track about the mean of the points that move with the skull."""
    middle = track[:, RIGID_POINTS].mean(1, keepdims=True)
    rotation, _ = cv2.Rodrigues(np.radians(degrees) * np.eye(3)[axis])
    return (track - middle) @ rotation + middle
