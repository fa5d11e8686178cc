"""A sheet of previews of a puppet, to check landmarks, closed mouth and mesh by."""

from __future__ import annotations

import cv2
import numpy as np

from src.face.geometry import central_lip_gap, mouth_width
from src.face.topology import CENTRAL_INNER_LIPS, LIPS, LOWER_LIP, MOUTH_CORNERS
from src.puppets.puppet import Puppet, renderer

OVERSHOOT = 1.6
"""Opening of the last preview, relative to the image's own."""

MIN_OPENING = 0.3
"""Least opening of the last preview, in mouth widths."""

FACE_COLOUR, LIP_COLOUR, MESH_COLOUR = (40, 40, 220), (200, 80, 20), (150, 90, 20)
FRACTION_BITS = 4  # of the mesh's corners in OpenCV's fixed-point numbers
FAR_CORNER = 20000  # pixels, within the range of those numbers


def preview_sheet(puppet: Puppet) -> np.ndarray:
    """[landmarks | closed mouth] over [triangles | wide-open mouth], uint8 BGR (2H, 2W, 3)."""
    frames = renderer(puppet)
    closed = puppet.closed_landmarks
    thickness = max(1, round(max(puppet.image.shape[:2]) / 500))
    points = faded(frames.render(puppet.landmarks))
    mesh = points.copy()
    draw_landmarks(points, puppet.landmarks, 2 * thickness)
    for number, (x, y) in enumerate(puppet.landmarks.round().astype(int)):
        corner = (x + 2 * thickness, y - 2 * thickness)
        cv2.putText(points, str(number), corner, 0, 0.3 * thickness, colour(number), 1, cv2.LINE_AA)
    corners = puppet.vertices(puppet.landmarks)[puppet.triangles].clip(-FAR_CORNER, FAR_CORNER)
    corners = (corners * 2**FRACTION_BITS).round().astype(np.int32)
    cv2.polylines(mesh, list(corners), True, MESH_COLOUR, thickness, cv2.LINE_AA, FRACTION_BITS)
    wide = frames.render(wide_open(puppet.landmarks, closed))
    return np.vstack([np.hstack([points, frames.render(closed)]), np.hstack([mesh, wide])])


def draw_landmarks(image: np.ndarray, landmarks: np.ndarray, radius: int) -> None:
    """Draw landmarks (68, 2) as discs into a BGR image."""
    for number, (x, y) in enumerate(landmarks):
        centre = (round(x), round(y))
        cv2.circle(image, centre, radius, colour(number), -1, cv2.LINE_AA)


def colour(number: int) -> tuple[int, int, int]:
    """BGR colour of a landmark by its number."""
    return FACE_COLOUR if number < LIPS.start else LIP_COLOUR


def wide_open(landmarks: np.ndarray, closed: np.ndarray) -> np.ndarray:
    """Landmarks (68, 2) whose mouth is open wider than in the image, the chin lower.

    Args:
        landmarks: (68, 2) pixels of the image.
        closed: (68, 2) pixels with the mouth closed.
    """
    opened = closed + OVERSHOOT * (landmarks - closed)
    width = mouth_width(landmarks)
    missing = max(0.0, MIN_OPENING * width - central_lip_gap(opened))
    weight = 1 - np.abs(opened[LIPS, 0] - opened[list(MOUTH_CORNERS), 0].mean()) / (0.5 * width)
    lower = np.isin(np.arange(LIPS.start, LIPS.stop), LOWER_LIP)
    opened[LIPS, 1] += missing * np.sqrt(np.clip(weight, 0, 1)) * lower
    lower_lip = CENTRAL_INNER_LIPS[1]
    chin = 0.5 * max(0.0, opened[lower_lip, 1] - landmarks[lower_lip, 1])
    opened[5:12, 1] += chin * np.sin(np.linspace(0.3, np.pi - 0.3, 7))
    return opened


def faded(image: np.ndarray) -> np.ndarray:
    """An image (H, W, 3) blended half and half with white."""
    return cv2.addWeighted(image, 0.5, np.full_like(image, 255), 0.5, 0)
