"""A sheet of previews of a puppet, to check landmarks, closed mouth and mesh by."""

from __future__ import annotations

import cv2
import numpy as np

from src.face.topology import LIPS
from src.puppets.puppet import Puppet

OVERSHOOT = 1.6
"""Mouth opening of the last preview, relative to the image's own."""

FACE_COLOUR, LIP_COLOUR, MESH_COLOUR = (40, 40, 220), (200, 80, 20), (150, 90, 20)
FRACTION_BITS = 4  # of the mesh's corners in OpenCV's fixed-point numbers
FAR_CORNER = 20000  # pixels, within the range of those numbers


def preview_sheet(puppet: Puppet) -> np.ndarray:
    """[landmarks | closed mouth] over [triangles | wide-open mouth], uint8 BGR (2H, 2W, 3)."""
    still, closed = puppet.landmarks, puppet.closed_landmarks
    renderer = puppet.renderer()
    thickness = max(1, round(max(puppet.image.shape[:2]) / 500))
    points = renderer.render(still)
    points = cv2.addWeighted(points, 0.5, np.full_like(points, 255), 0.5, 0)
    mesh = points.copy()
    draw_landmarks(points, still, 2 * thickness)
    for number, (x, y) in enumerate(still.round().astype(int)):
        corner = (x + 2 * thickness, y - 2 * thickness)
        cv2.putText(points, str(number), corner, 0, 0.3 * thickness, colour(number), 1, cv2.LINE_AA)
    corners = puppet.vertices(still)[puppet.triangles].clip(-FAR_CORNER, FAR_CORNER)
    corners = (corners * 2**FRACTION_BITS).round().astype(np.int32)
    cv2.polylines(mesh, list(corners), True, MESH_COLOUR, thickness, cv2.LINE_AA, FRACTION_BITS)
    wide = renderer.render(closed + OVERSHOOT * (still - closed))
    return np.vstack([np.hstack([points, renderer.render(closed)]), np.hstack([mesh, wide])])


def draw_landmarks(image: np.ndarray, landmarks: np.ndarray, radius: int) -> None:
    """Draw landmarks (68, 2) as discs into a BGR image."""
    for number, (x, y) in enumerate(landmarks):
        centre = (round(x), round(y))
        cv2.circle(image, centre, radius, colour(number), -1, cv2.LINE_AA)


def colour(number: int) -> tuple[int, int, int]:
    """BGR colour of a landmark by its number."""
    return FACE_COLOUR if number < LIPS.start else LIP_COLOUR
