"""Smooth displacement fields: how surroundings follow the head, and how a face's skin moves."""

import cv2
import numpy as np

from src.face.geometry import jaw_width
from src.face.topology import CHIN, LEFT_EYE, NOSE_BRIDGE_TOP, RIGHT_EYE
from src.render.warp.plane import Axes, Box, smoothstep

# Lengths below are in face units: the jaw's width, or 1.25 times the distance from the nose's root
# to the chin where that is more, as in a half profile. Set by eye on photographs and paintings.

# Half axes of ovals around the point between the eyes: to smaller x, to larger x, above, below.
# Head and hair move as one; outside the second oval nothing moves; the third bounds the face's own
# motion.
HEAD_OVAL = (0.74, 0.74, 0.86, 0.98)
STILL_OVAL = (1.50, 1.50, 1.55, 1.95)
FACE_OVAL = (0.74, 0.74, 0.74, 1.40)

_LEAST_FALLOFF = 0.30  # between head and still background, so that the background does not tear
_BORDER_BAND = 0.40  # distance from a border within which motion across it dies away
_KERNEL_SOFTNESS = 0.03  # distance from control points within which a field is smooth


def oval_radius(points: np.ndarray, axes: tuple[float, float, float, float]) -> np.ndarray:
    """Radius of points (..., 2) in face units: 1 on the oval with these half axes."""
    left, right, above, below = axes
    x, y = points[..., 0], points[..., 1]
    return np.hypot(x / np.where(x < 0, left, right), y / np.where(y < 0, above, below))


def face_axes(landmarks: np.ndarray) -> Axes:
    """Axes of a face (68, 2): origin between the eyes, x along them, in face units."""
    right, left = landmarks[RIGHT_EYE].mean(0), landmarks[LEFT_EYE].mean(0)
    directions = Axes.along(right, left).directions
    unit = max(
        float(jaw_width(landmarks)),
        1.25 * float(np.linalg.norm(landmarks[CHIN] - landmarks[NOSE_BRIDGE_TOP])),
        1.0,
    )
    eyes = (right + left) / 2
    aside = (landmarks.mean(0) - eyes) @ directions[0]
    return Axes(eyes + aside * directions[0], directions, unit)


class HeadFollow:
    """The weight, per axis, with which each place of an image follows the head's motion.

    It is 1 on head and hair and falls smoothly to 0 at shoulders and border. Where a head reaches
    the border, pixels may slide along it, but nothing comes in across it.

    Args:
        axes: of the face.
        size: (width, height) of the image.
        landmarks: (68, 2) pixels.
    """

    def __init__(self, axes: Axes, size: tuple[int, int], landmarks: np.ndarray) -> None:
        self.axes = axes
        self.size = np.array(size, float)
        # Where there is room, nothing moves at the border.
        self.still_oval = [*STILL_OVAL]
        for side, direction in enumerate(((-1, 0), (1, 0), (0, -1))):
            outwards = direction @ axes.directions
            room = np.where(outwards < 0, axes.origin, self.size - 1 - axes.origin)
            room = float((room / np.maximum(np.abs(outwards), 1e-6)).min()) / axes.unit
            least = HEAD_OVAL[side] + _LEAST_FALLOFF
            self.still_oval[side] = float(np.clip(room, least, STILL_OVAL[side]))
        band = _BORDER_BAND * axes.unit
        # The face itself keeps out of the band, or its landmarks could not be reached.
        self.low_band = np.clip(0.9 * landmarks.min(0), 4.0, band)
        self.high_band = np.clip(0.9 * (self.size - 1 - landmarks.max(0)), 4.0, band)

    def corners(self) -> np.ndarray:
        """Pixels (4, 2) of a rectangle outside of which nothing moves."""
        left, right, above, below = self.still_oval
        rectangle = np.array([(-left, -above), (right, -above), (-left, below), (right, below)])
        return self.axes.pixels(1.02 * rectangle)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Weights (..., 2) for x and y at pixels (..., 2)."""
        local = self.axes.local(points)
        still = oval_radius(local, self.still_oval)
        # Along a ray from the centre, the ratio is the inner oval's place in units of the outer.
        ratio = still / np.maximum(oval_radius(local, HEAD_OVAL), 1e-6)
        inside = 1.0 - smoothstep((still - ratio) / np.maximum(1.0 - ratio, 1e-3))
        border = np.minimum(points / self.low_band, (self.size - 1 - points) / self.high_band)
        return inside[..., None] * smoothstep(border)


def smooth_field(
    places: np.ndarray, points: np.ndarray, displacement: np.ndarray, slack: np.ndarray, unit: float
) -> np.ndarray:
    """Interpolate a displacement between control points by multiquadrics: (M, 2) float32 pixels.

    Args:
        places: (M, 2) pixels.
        points: (N, 2) pixels of the control points.
        displacement: (N, 2) pixels at the points.
        slack: (N,) units by which a point may be missed where its neighbours disagree with it
            (1e-5: not at all).
        unit: pixels of a face unit.
    """
    centre = points.mean(0)
    places, points = (((at - centre) / unit).astype(np.float32) for at in (places, points))
    count = len(points)
    system = np.zeros((count + 1, count + 1))
    # Distances are a negative kernel, so slack is subtracted.
    system[:count, :count] = _multiquadric(points, points) - np.diag(slack)
    system[:count, count] = system[count, :count] = 1
    weights = np.linalg.solve(system, np.pad(displacement, ((0, 1), (0, 0)))).astype(np.float32)
    return _multiquadric(places, points) @ weights[:-1] + weights[-1]


def _multiquadric(places: np.ndarray, points: np.ndarray) -> np.ndarray:
    square = -2 * (places @ points.T)
    square += (places**2).sum(1)[:, None]
    square += (points**2).sum(1) + _KERNEL_SOFTNESS**2
    return np.sqrt(np.maximum(square, 0, out=square), out=square)


class Grid:
    """Nodes every `step` pixels of a box: fields are computed there and interpolated to pixels."""

    def __init__(self, box: Box, step: int) -> None:
        self.box = box
        self.step = step
        self.columns, self.rows = (-(-length // step) for length in box.size)
        # A node is the middle of its cell, which is where resizing has a pixel's value.
        x = box.left + (np.arange(self.columns) + 0.5) * step - 0.5
        y = box.top + (np.arange(self.rows) + 0.5) * step - 0.5
        self.nodes = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2).astype(np.float32)
        self.pixels = box.pixels()

    def interpolate(self, values: np.ndarray) -> np.ndarray:
        """Values (N, C) at the nodes to (H, W, C) float32 at the box's pixels."""
        values = values.reshape(self.rows, self.columns, -1).astype(np.float32)
        size = (self.columns * self.step, self.rows * self.step)
        large = cv2.resize(values, size, interpolation=cv2.INTER_LINEAR)
        height, width = self.pixels.shape[:2]
        return large[:height, :width]
