"""A view of a face, upright and of one size, and the frame in which its places are measured.

All lengths in the frame are in widths of the jaw. Its origin lies between the detected eyes, its x
axis runs from the one to the other, and its y axis points to the chin.
"""

from __future__ import annotations

import cv2
import numpy as np

from src.face.topology import JAW, LEFT_EYE, RIGHT_EYE

VIEW = 256  # pixels of the view to a jaw's width
VIEW_SIZE = 1.3  # side of the view
VIEW_ORIGIN = (0.65, 0.55)  # where between the eyes is in it
VIEW_BLUR = 1.0  # pixels of the view: dots and strokes of the brush are no edges


def upright_view(picture: np.ndarray, face: np.ndarray) -> tuple[np.ndarray, ...]:
    """A view (H, W, 3) of a face in Lab, upright, `VIEW` pixels a jaw's width, and its frame.

    Returns:
        The view; the matrix (2, 2) and the origin (2,) with which pixels of the picture become
        places in the frame: `(pixels - origin) @ matrix.T`.
    """
    width = np.linalg.norm(face[JAW][-1] - face[JAW][0])
    across = face[LEFT_EYE].mean(0) - face[RIGHT_EYE].mean(0)
    across /= np.linalg.norm(across)
    linear = np.array([across, [-across[1], across[0]]]) / width
    origin = face[RIGHT_EYE.start : LEFT_EYE.stop].mean(0)
    scale = VIEW / width
    # Where pixels are left out, they are averaged first.
    sharp = cv2.GaussianBlur(picture, (0, 0), 0.5 / scale) if scale < 0.7 else picture
    size = round(VIEW * VIEW_SIZE)
    view = cv2.warpAffine(
        sharp,
        np.column_stack([linear * VIEW, VIEW * (VIEW_ORIGIN - linear @ origin)]),
        (size, size),
        flags=cv2.INTER_LINEAR if scale < 1 else cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cv2.GaussianBlur(in_lab(view), (0, 0), VIEW_BLUR), linear, origin


def in_lab(picture: np.ndarray) -> np.ndarray:
    """uint8 BGR (H, W, 3) as float32 CIE Lab, lightness 0-100."""
    return cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)


def in_view(places: np.ndarray) -> np.ndarray:
    """Pixels of the view, whole ones, for places (N, 2) in the frame."""
    return np.round(VIEW * (places + VIEW_ORIGIN)).astype(np.int32)


def values_at(view: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values (N, M) of a view (H, W) at places (N, M, 2) of the frame."""
    pixels = (VIEW * (places + VIEW_ORIGIN)).astype(np.float32)
    return cv2.remap(view, pixels, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def clear(difference: np.ndarray, half: float) -> np.ndarray:
    """Differences as scores between -1 and 1; `half` is the one that counts half."""
    return difference / (np.abs(difference) + half)


def grid(aside: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Shifts (S, 2): all pairs, row by row of `down`."""
    return np.stack(np.meshgrid(aside, down), -1).reshape(-1, 2)
