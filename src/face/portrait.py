"""The still face that is animated: an image and its landmarks, at the size of the video."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.errors import InputError
from src.face.crop import resize
from src.face.detection import detect_landmarks
from src.face.topology import JAW_ENDS
from src.io.files import check_array, read_array
from src.io.image import flatten, read_image
from src.io.video import even_size
from src.models.dimensions import LANDMARK_COUNT

SMALLEST_FACE = 4.0  # pixels across that given landmarks must span

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Portrait:
    """A still face ready to be animated."""

    image: np.ndarray  # uint8 BGR (H, W, 3), even sides
    landmarks: np.ndarray  # (68, 3) pixels of `image`
    scale: np.ndarray  # (2,) pixels of `image` for a pixel of the file, x and y

    def to_file_pixels(self, landmarks: np.ndarray) -> np.ndarray:
        """Landmarks (..., 68, 3) in pixels of the original file."""
        moved = np.array(landmarks, np.float64)
        moved[..., :2] = (moved[..., :2] + 0.5) / self.scale - 0.5
        return moved


def load_portrait(
    image: str | Path | np.ndarray,
    landmark_file: Path | None = None,
    *,
    detector: str = "auto",
    max_size: int,
    square: int | None = None,
) -> Portrait:
    """Read an image, find its landmarks and resize both.

    Args:
        image: path, or uint8 BGR(A) array (H, W, 3 or 4); transparency becomes white.
        landmark_file: .npy with (68, 3) pixels of the image, which are detected without it.
        detector: name of a landmark detector, or "auto".
        max_size: longest side of the portrait in pixels; smaller images keep their size.
        square: side in pixels; the image is resized to a square, whatever its proportions.

    Raises:
        InputError: no readable image, no face in it, or unusable landmarks.
    """
    name = "the image" if isinstance(image, np.ndarray) else str(image)
    image = flatten(image if isinstance(image, np.ndarray) else read_image(image))
    if landmark_file is None:
        log.info("detecting the face in %s", name)
        landmarks = detect_landmarks(image, detector, name)
    else:
        landmarks = read_array(landmark_file, name="landmarks")
        check_landmarks(landmarks, landmark_file, image)
    height, width = image.shape[:2]
    factor = min(1.0, max_size / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if square is not None:
        size = (square, square)
    scale = np.array(size) / (width, height)
    moved = landmarks * [*scale, scale.mean()] + [*(0.5 * scale - 0.5), 0]
    return Portrait(np.ascontiguousarray(even_size(resize(image, size))), moved, scale)


def check_landmarks(landmarks: np.ndarray, path: str | Path, image: np.ndarray) -> None:
    """Check landmarks (68, 3) in pixels of an image that were not detected but given by a file.

    Raises:
        InputError: another shape or type, most of them outside the image, or not a face.
    """
    check_array(landmarks, path, (LANDMARK_COUNT, 3), name="landmarks")
    points = landmarks[:, :2].astype(np.float64)
    height, width = image.shape[:2]
    inside = ((points >= 0) & (points < (width, height))).all(axis=1).sum()
    if inside < LANDMARK_COUNT // 2:
        raise InputError(
            f"{path}: only {inside} of 68 landmarks lie in the image of {width} x {height}"
        )
    jaw = np.ptp(points[list(JAW_ENDS), 0])
    if jaw < SMALLEST_FACE:
        raise InputError(
            f"{path}: the ends of the jaw (points 0 and 16) have nearly the same x: "
            f"{jaw:.1f} pixels apart"
        )
    # Twice the standard deviation across the line that fits the points best.
    centred = points - points.mean(axis=0)
    breadth = 2 * np.linalg.svd(centred, compute_uv=False)[1] / np.sqrt(LANDMARK_COUNT)
    distinct = len(np.unique(np.round(centred, 3), axis=0))
    if breadth < SMALLEST_FACE or distinct < LANDMARK_COUNT // 2:
        raise InputError(f"{path}: the landmarks lie on a line or coincide: not a face")
