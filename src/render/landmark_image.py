"""Draw landmarks: the image that the image-translation network reads, and overlays."""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from src.face.topology import LANDMARK_CURVES
from src.models.dimensions import IMAGE_SIZE

LINE_WIDTH = 2
"""Pixels (published release)."""

CURVE_COLOURS = {
    "jaw": (255, 144, 25),
    "right_brow": (50, 205, 50),
    "left_brow": (50, 205, 50),
    "nose": (208, 224, 63),
    "right_eye": (71, 99, 255),
    "left_eye": (71, 99, 255),
    "outer_lips": (238, 130, 238),
    "inner_lips": (238, 130, 238),
}
"""BGR by curve (published release)."""

_FRACTION_BITS = 4  # binary places of a pixel that antialiased lines keep
_OVERLAY_OPACITY = 0.25  # of the frame behind drawn landmarks


def draw_landmarks(
    image: np.ndarray, landmarks: np.ndarray, width: int = LINE_WIDTH, antialiased: bool = False
) -> None:
    """Draw the curves of a face over an image, in place.

    Args:
        image: uint8 BGR (H, W, 3), contiguous.
        landmarks: (68, >= 2) pixels of the image.
        width: pixels of a line.
        antialiased: draw to a sixteenth of a pixel, which the refinement network is trained on.
            Otherwise fractions are cut off, as the release does, so that a point that moves slowly
            stands still and then leaps by a pixel.
    """
    bits, line_type = (_FRACTION_BITS, cv2.LINE_AA) if antialiased else (0, cv2.LINE_8)
    points = np.asarray(landmarks)[:, :2]
    points = (np.round(points * (1 << bits)) if antialiased else points).astype(np.int32)
    for name, indices, closed in LANDMARK_CURVES:
        colour = CURVE_COLOURS[name]
        cv2.polylines(image, [points[indices]], closed, colour, width, line_type, bits)


def landmark_image(
    landmarks: np.ndarray, size: int | tuple[int, int] = IMAGE_SIZE, antialiased: bool = False
) -> np.ndarray:
    """Draw the landmarks of a face on white: the input of the image-translation network.

    Args:
        landmarks: (68, >= 2) pixels of the image.
        size: side in pixels, or (height, width).
        antialiased: see `draw_landmarks`.

    Returns:
        uint8 BGR (H, W, 3).
    """
    height, width = (size, size) if isinstance(size, int) else size
    image = np.full((height, width, 3), 255, np.uint8)
    draw_landmarks(image, landmarks, antialiased=antialiased)
    return image


def side_by_side(
    portrait: np.ndarray,
    frames: Iterable[np.ndarray],
    landmarks: np.ndarray,
    *,
    on_white: bool = False,
) -> Iterator[np.ndarray]:
    """Join portrait, frame and drawn landmarks to one wide frame, for each frame.

    Args:
        portrait: uint8 BGR (H, W, 3).
        frames: T of the same shape.
        landmarks: (T, 68, >= 2) pixels of the frames.
        on_white: draw the landmarks on white, as the release does, not over the faded frame.

    Yields:
        uint8 BGR (H, 3 W, 3).
    """
    opacity = 0 if on_white else _OVERLAY_OPACITY
    width = LINE_WIDTH if on_white else max(LINE_WIDTH, round(max(portrait.shape) / 256))
    white = np.full_like(portrait, 255)
    for frame, face in zip(frames, landmarks, strict=True):
        drawn = cv2.addWeighted(frame, opacity, white, 1 - opacity, 0)
        draw_landmarks(drawn, face, width)
        yield np.hstack([portrait, frame, drawn])
