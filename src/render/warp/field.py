"""Smooth displacement fields: how a head carries its surroundings, and how a face's skin moves."""

import cv2
import numpy as np

from src.render.warp.plane import Box, axes_along, pixel_grid, smoothstep

# Lengths below are in face units: the jaw's width, or 1.25 times the way from the nose's root to
# the chin where that is more, as in a half profile. Set by eye on photographs and paintings.

# Half axes of eggs round the point between the eyes: to smaller x, to larger x, above, below. Head
# and hair move as one; outside the second egg all rests; the third bounds the face's own motion.
HEAD_EGG = (0.74, 0.74, 0.86, 0.98)
REST_EGG = (1.50, 1.50, 1.55, 1.95)
FACE_EGG = (0.74, 0.74, 0.74, 1.40)
# Between head and rest there is at least this much, or the background would tear.
LEAST_FALLOFF = 0.30
# Within this distance of a border, motion across it dies away.
BORDER_BAND = 0.40
# A sheet is smooth within this distance of its control points.
KERNEL_SOFTNESS = 0.03


def egg_radius(points: np.ndarray, axes: tuple[float, float, float, float]) -> np.ndarray:
    """How far out points (..., 2) in face units lie: 1 on the egg with these half axes."""
    left, right, above, below = axes
    x, y = points[..., 0], points[..., 1]
    return np.hypot(x / np.where(x < 0, left, right), y / np.where(y < 0, above, below))


class FaceFrame:
    """A face's own axes: origin between the eyes, x along them, y down, unit = the face's size."""

    def __init__(self, landmarks: np.ndarray) -> None:
        right, left = landmarks[36:42].mean(0), landmarks[42:48].mean(0)
        self.axes, _ = axes_along(right, left)
        self.unit = max(
            float(np.linalg.norm(landmarks[16] - landmarks[0])),
            1.25 * float(np.linalg.norm(landmarks[8] - landmarks[27])),
            1.0,
        )
        eyes = (right + left) / 2
        aside = (landmarks.mean(0) - eyes) @ self.axes[0]
        self.origin = eyes + aside * self.axes[0]

    def local(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) to face units."""
        return (points - self.origin) @ self.axes.T / self.unit

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Face units (..., 2) to pixels."""
        return points @ self.axes * self.unit + self.origin


class HeadFollow:
    """How much of the head's motion each place of a picture takes over, per axis.

    frame: the face's axes. size: (width, height) of the picture. landmarks: (68, 2) pixels.

    It is 1 on head and hair and falls smoothly to 0 at shoulders and border. Where a head reaches
    the border, pixels may slide along it, but nothing comes in across it.
    """

    def __init__(self, frame: FaceFrame, size: tuple[int, int], landmarks: np.ndarray) -> None:
        self.frame = frame
        self.size = np.array(size, float)
        # Where there is room, all rests at the border.
        self.rest_egg = [*REST_EGG]
        for axis, direction in enumerate(((-1, 0), (1, 0), (0, -1))):
            outwards = direction @ frame.axes
            room = np.where(outwards < 0, frame.origin, self.size - 1 - frame.origin)
            room = float((room / np.maximum(np.abs(outwards), 1e-6)).min()) / frame.unit
            least = HEAD_EGG[axis] + LEAST_FALLOFF
            self.rest_egg[axis] = float(np.clip(room, least, REST_EGG[axis]))
        band = BORDER_BAND * frame.unit
        # The face itself keeps out of the band, or its landmarks could not be reached.
        self.low_band = np.clip(0.9 * landmarks.min(0), 4.0, band)
        self.high_band = np.clip(0.9 * (self.size - 1 - landmarks.max(0)), 4.0, band)

    def corners(self) -> np.ndarray:
        """Pixels (4, 2) of a rectangle outside of which all rests."""
        left, right, above, below = self.rest_egg
        rectangle = np.array([(-left, -above), (right, -above), (-left, below), (right, below)])
        return self.frame.pixels(1.02 * rectangle)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Weights (..., 2) for x and y at pixels (..., 2)."""
        local = self.frame.local(points)
        rest = egg_radius(local, self.rest_egg)
        # Along a ray from the centre, the ratio is the inner egg's place in units of the outer one.
        ratio = rest / np.maximum(egg_radius(local, HEAD_EGG), 1e-6)
        inside = 1.0 - smoothstep((rest - ratio) / np.maximum(1.0 - ratio, 1e-3))
        border = np.minimum(points / self.low_band, (self.size - 1 - points) / self.high_band)
        return inside[..., None] * smoothstep(border)


class Sheet:
    """A smooth displacement field through control points (multiquadric interpolation).

    points, displacement: (N, 2) pixels. slack: (N,) how far, in units, a point may be missed where
    its neighbours disagree with it (1e-5: not at all). unit: pixels, the face's size.
    """

    def __init__(
        self, points: np.ndarray, displacement: np.ndarray, slack: np.ndarray, unit: float
    ) -> None:
        self.unit = unit
        self.centre = points.mean(0)
        self.points = ((points - self.centre) / unit).astype(np.float32)
        count = len(points)
        system = np.zeros((count + 1, count + 1))
        # Distances are a negative kernel, so slack is subtracted.
        system[:count, :count] = self._kernel(self.points) - np.diag(slack)
        system[:count, count] = system[count, :count] = 1
        right = np.zeros((count + 1, 2))
        right[:count] = displacement
        self.weights = np.linalg.solve(system, right).astype(np.float32)

    def _kernel(self, places: np.ndarray) -> np.ndarray:
        square = -2 * (places @ self.points.T)
        square += (places**2).sum(1)[:, None]
        square += (self.points**2).sum(1) + KERNEL_SOFTNESS**2
        return np.sqrt(np.maximum(square, 0, out=square), out=square)

    def __call__(self, places: np.ndarray) -> np.ndarray:
        """Displacement (M, 2) float32 at pixels (M, 2)."""
        places = ((places - self.centre) / self.unit).astype(np.float32)
        return self._kernel(places) @ self.weights[:-1] + self.weights[-1]


class Grid:
    """Nodes every `step` pixels over a box: fields are computed on them and enlarged to pixels."""

    def __init__(self, box: Box, step: int) -> None:
        self.box = box
        self.step = step
        left, top, right, bottom = box
        self.columns, self.rows = -(-(right - left) // step), -(-(bottom - top) // step)
        # A node is the middle of its cell, which is where resizing has a pixel's value.
        x = left + (np.arange(self.columns) + 0.5) * step - 0.5
        y = top + (np.arange(self.rows) + 0.5) * step - 0.5
        self.nodes = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2).astype(np.float32)
        self.pixels = pixel_grid(box)

    def enlarge(self, values: np.ndarray) -> np.ndarray:
        """Values (N, C) at the nodes to (H, W, C) float32 at the box's pixels."""
        values = values.reshape(self.rows, self.columns, -1).astype(np.float32)
        size = (self.columns * self.step, self.rows * self.step)
        large = cv2.resize(values, size, interpolation=cv2.INTER_LINEAR)
        height, width = self.pixels.shape[:2]
        return large[:height, :width]
