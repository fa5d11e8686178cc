"""Draw landmarks: the picture that the image-translation network reads, and overlays to look at."""

from collections.abc import Sequence

import cv2
import numpy as np

from src.face.topology import LANDMARK_CURVES

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

WHITE = 255
# Binary places of a pixel that smooth lines keep.
_FRACTION_BITS = 4


def draw_landmarks(picture: np.ndarray, landmarks: np.ndarray, width: int = LINE_WIDTH) -> None:
    """Draw the curves of a face over a picture, in place.

    Args:
        picture: uint8 BGR (H, W, 3), contiguous.
        landmarks: (68, >= 2) pixels of the picture; fractions are cut off, as the release does.
        width: pixels of a line.
    """
    points = np.asarray(landmarks)[:, :2].astype(np.int32)
    for name, indices, closed in LANDMARK_CURVES:
        cv2.polylines(picture, [points[indices]], closed, CURVE_COLOURS[name], width)


def landmark_picture(landmarks: np.ndarray, size: int | Sequence[int] = 256) -> np.ndarray:
    """The landmarks of a face on white: what the image-translation network was trained on.

    Args:
        landmarks: (68, >= 2) pixels of the picture.
        size: side in pixels, or (height, width).

    Returns:
        uint8 BGR (H, W, 3).
    """
    height, width = (size, size) if isinstance(size, int) else size
    picture = np.full((height, width, 3), WHITE, np.uint8)
    draw_landmarks(picture, landmarks)
    return picture


def smooth_landmark_picture(landmarks: np.ndarray, size: int = 256) -> np.ndarray:
    """The same lines antialiased and to a sixteenth of a pixel: what a mending network sees.

    In `landmark_picture` a point that moves slowly stands still and then leaps by a pixel, and a
    network's picture leaps with it.

    Args:
        landmarks: (68, >= 2) pixels of the picture, whose centres have whole coordinates.
        size: side in pixels.

    Returns:
        uint8 BGR (size, size, 3).
    """
    picture = np.full((size, size, 3), WHITE, np.uint8)
    points = np.round(np.asarray(landmarks)[:, :2] * (1 << _FRACTION_BITS)).astype(np.int32)
    for name, indices, closed in LANDMARK_CURVES:
        cv2.polylines(
            picture,
            [points[indices]],
            closed,
            CURVE_COLOURS[name],
            LINE_WIDTH,
            cv2.LINE_AA,
            _FRACTION_BITS,
        )
    return picture
