"""Small geometry of the picture's plane: curves, affine maps, masks and boxes.

Points are (..., 2) pixels x, y; an affine map is a 2x3 matrix, as in OpenCV.
"""

import cv2
import numpy as np

LUMINANCE_SHARES = (0.114, 0.587, 0.299)
LUMINANCE = np.array(LUMINANCE_SHARES, np.float32)
"""Shares of blue, green and red in brightness (ITU-R BT.601)."""

Box = tuple[int, int, int, int]
"""Whole pixels: left, top, right, bottom; the last two lie outside."""


def smoothstep(value: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, smooth between."""
    value = np.clip(value, 0.0, 1.0)
    return value * value * (3.0 - 2.0 * value)


def curve(points: np.ndarray, per_segment: int) -> np.ndarray:
    """Smooth curve through points (N, 2): Catmull-Rom, (N - 1) * per_segment + 1 samples."""
    before = 2 * points[0] - points[1]
    after = 2 * points[-1] - points[-2]
    p = np.concatenate([before[None], points, after[None]])
    t = np.arange(per_segment)[:, None, None] / per_segment
    a, b, c, d = p[:-3], p[1:-2], p[2:-1], p[3:]
    samples = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    return np.concatenate([samples.transpose(1, 0, 2).reshape(-1, 2), points[-1:]])


def axes_along(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, float]:
    """Axes (2, 2), rows x from start to end and y across (down in a picture); their distance."""
    across = end - start
    length = max(float(np.linalg.norm(across)), 1e-6)
    x, y = across / length
    return np.array([(x, y), (-y, x)]), length


def invert(affine: np.ndarray) -> np.ndarray:
    """Inverse of an affine map."""
    linear = np.linalg.inv(affine[:, :2])
    return np.column_stack([linear, -linear @ affine[:, 2]])


def apply(affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points through an affine map."""
    return points @ affine[:, :2].T + affine[:, 2]


def shifted(by: np.ndarray) -> np.ndarray:
    """The affine map that adds a vector (2,)."""
    return np.column_stack([np.eye(2), by])


def chain(*affine: np.ndarray) -> np.ndarray:
    """Product of affine maps, the last one applied first."""
    product = np.eye(3)
    for one in affine:
        product = product @ np.vstack([one, (0, 0, 1)])
    return product[:2]


def filled(outline: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Antialiased mask (H, W) float32 0-1 of a polygon (N, 2) in a picture of (width, height)."""
    # OpenCV antialiases 8-bit pictures only.
    mask = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillPoly(mask, [np.round(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return mask.astype(np.float32) / 255


def clipped_box(low: np.ndarray, high: np.ndarray, bounds: Box) -> Box:
    """The pixels of `bounds` between two corners; empty boxes have right = left or bottom = top."""
    least, most = bounds[:2], bounds[2:]
    left, top = np.clip(np.floor(low), least, most).astype(int)
    right, bottom = np.clip(np.ceil(high) + 1, least, most).astype(int)
    return int(left), int(top), int(right), int(bottom)


def part(box: Box, within: Box) -> tuple[slice, slice]:
    """Rows and columns of `box` in an array that covers `within`."""
    return (
        slice(box[1] - within[1], box[3] - within[1]),
        slice(box[0] - within[0], box[2] - within[0]),
    )


def pixel_grid(box: Box) -> np.ndarray:
    """Coordinates (H, W, 2) float32 of a box's pixels."""
    x = np.arange(box[0], box[2], dtype=np.float32)
    y = np.arange(box[1], box[3], dtype=np.float32)
    return np.stack(np.meshgrid(x, y), -1)


def whole(picture: np.ndarray) -> Box:
    """The box of a whole picture (H, W, ...)."""
    return 0, 0, picture.shape[1], picture.shape[0]


def sample(image: np.ndarray, source: np.ndarray, interpolation: int) -> np.ndarray:
    """Sample an image at places (H, W, 2) float32 of x and y, its edges repeated outside."""
    return cv2.remap(image, source, None, interpolation, borderMode=cv2.BORDER_REPLICATE)


def pixels_near(picture: np.ndarray, place: np.ndarray, radius: float) -> np.ndarray:
    """Pixels (N, C) of the square of this radius round a place, cut at the picture's border."""
    left, top, right, bottom = clipped_box(place - radius, place + radius, whole(picture))
    return picture[top:bottom, left:right].reshape(-1, picture.shape[2])
