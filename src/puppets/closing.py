"""Closing of a puppet's mouth."""

from __future__ import annotations

import numpy as np

from src.face.geometry import close_mouth, mouth_width
from src.face.topology import INNER_LIP_PAIRS

OUTLINE_THICKNESS = 0.02
"""Thickness of the outline of a mouth without lips, in mouth widths (lower bound)."""


def close_lips(face: np.ndarray) -> np.ndarray:
    """Close the mouth of a face (68, 3) in x and y until the inner lips touch; a new array.

    The outer lips follow the inner ones, so that lips keep their thickness.
    """
    return np.column_stack([close_mouth(face[:, :2], amount=1.0), face[:, 2]])


def inset_inner_lips(landmarks: np.ndarray) -> np.ndarray:
    """Move the inner lips of landmarks (68, 2) inside the mouth's outline; a new array.

    If a mouth without lips is marked along the outside of its outline, the outline would vanish
    as the mouth closes, together with the mouth's inside. The corners stay.
    """
    points = np.array(landmarks, np.float64)
    thickness = OUTLINE_THICKNESS * mouth_width(points)
    for upper, lower in INNER_LIP_PAIRS:
        gap = points[lower] - points[upper]
        step = gap * min(thickness / max(np.linalg.norm(gap), 1e-12), 0.25)
        points[upper] += step
        points[lower] -= step
    return points
