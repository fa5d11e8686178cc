"""Geometry in the image plane: curves, axes, affine maps, masks and boxes.

Points are (..., 2) pixels x, y. Affine maps are (3, 3) matrices, of which the product `a @ b`
applies b first.
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from scipy.interpolate import CubicHermiteSpline

from src.face.topology import MOUTH_CORNERS

LUMINANCE = np.array((0.114, 0.587, 0.299), np.float32)
"""Weights of blue, green and red in luminance (ITU-R BT.601)."""


class Box(NamedTuple):
    """Whole pixels of an image; right and bottom lie outside."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def of(cls, image: np.ndarray) -> "Box":
        """The box of a whole image (H, W, ...)."""
        return cls(0, 0, image.shape[1], image.shape[0])

    @classmethod
    def around(cls, points: np.ndarray, margin: float, within: "Box") -> "Box":
        """The pixels of `within` around points (N, 2), with a margin; may be empty."""
        low, high = np.floor(points.min(0) - margin), np.ceil(points.max(0) + margin) + 1
        corners = [np.clip(corner, within[:2], within[2:]).astype(int) for corner in (low, high)]
        return cls(*corners[0].tolist(), *corners[1].tolist())

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.right - self.left, self.bottom - self.top

    def slices(self, outer: "Box") -> tuple[slice, slice]:
        """Rows and columns of this box in an array that covers `outer`."""
        x, y = outer[:2]
        return slice(self.top - y, self.bottom - y), slice(self.left - x, self.right - x)

    def pixels(self) -> np.ndarray:
        """Coordinates (H, W, 2) float32 of the pixels."""
        x = np.arange(self.left, self.right, dtype=np.float32)
        y = np.arange(self.top, self.bottom, dtype=np.float32)
        return np.stack(np.meshgrid(x, y), -1)


@dataclass(frozen=True)
class Axes:
    """Axes of a part of the face, and the unit of length in which it is measured."""

    origin: np.ndarray  # (2,) pixels
    directions: np.ndarray  # (2, 2) unit vectors of x and y
    unit: float  # pixels

    @classmethod
    def along(cls, start: np.ndarray, end: np.ndarray) -> "Axes":
        """Origin at `start`, x towards `end`, y down in an upright face, their distance as unit."""
        across = end - start
        length = max(float(np.linalg.norm(across)), 1e-6)
        x, y = across / length
        return cls(start, np.array([(x, y), (-y, x)]), length)

    @property
    def down(self) -> np.ndarray:
        """Unit vector (2,) of y."""
        return self.directions[1]

    def local(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) to units along the axes."""
        return (points - self.origin) @ self.directions.T / self.unit

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Units along the axes (..., 2) to pixels."""
        return points @ self.directions * self.unit + self.origin


def mouth_axes(landmarks: np.ndarray) -> Axes:
    """Axes from the subject's right corner of the mouth to the left one."""
    return Axes.along(*landmarks[list(MOUTH_CORNERS)])


def smoothstep(value: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, smooth between."""
    value = np.clip(value, 0.0, 1.0)
    return value * value * (3.0 - 2.0 * value)


def curve(points: np.ndarray, per_segment: int) -> np.ndarray:
    """Smooth curve through points (N, 2): Catmull-Rom, (N - 1) * per_segment + 1 samples."""
    return _curve_weights(len(points), per_segment) @ points


@functools.cache
def _curve_weights(count: int, per_segment: int) -> np.ndarray:
    """Weights (samples, count) of the points in a curve's samples."""
    points, knots = np.eye(count), np.arange(count)
    spline = CubicHermiteSpline(knots, points, np.gradient(points, axis=0))
    return spline(np.linspace(0, count - 1, (count - 1) * per_segment + 1))


def affine(linear: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The affine map `linear @ point + shift`."""
    return np.vstack([np.column_stack([linear, shift]), (0, 0, 1)])


def translation(shift: np.ndarray) -> np.ndarray:
    """The affine map that adds a vector (2,)."""
    return affine(np.eye(2), shift)


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points (..., 2) by an affine map (2 or 3, 3)."""
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def polygon_mask(outline: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Antialiased mask (H, W) float32 0-1 of a polygon (N, 2) in an image of (width, height)."""
    # OpenCV antialiases 8-bit images only.
    mask = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillPoly(mask, [np.round(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return mask.astype(np.float32) / 255


def sample(image: np.ndarray, source: np.ndarray, interpolation: int) -> np.ndarray:
    """Sample an image at places (H, W, 2) float32 of x and y, its edges repeated outside."""
    return cv2.remap(image, source, None, interpolation, borderMode=cv2.BORDER_REPLICATE)


def pixels_near(image: np.ndarray, place: np.ndarray, radius: float) -> np.ndarray:
    """Pixels (N, C) of an image in the square of this radius around a place (2,), or nearest it."""
    whole = Box.of(image)
    place = np.clip(place, 0, np.array(whole.size) - 1)
    near = image[Box.around(place[None], radius, whole).slices(whole)]
    return near.reshape(-1, image.shape[2])
