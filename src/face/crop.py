"""The square round a face, cut out of an image at the size of the image networks.

Coordinates are those of pixel centres: (0, 0) is the centre of the first pixel, its outer corner
is (-0.5, -0.5).
"""

from dataclasses import dataclass

import cv2
import numpy as np

from src.models.dimensions import IMAGE_SIZE

# Medians over the published release's 48 example images: the jaw is 0.52 of the square's side wide,
# the landmarks' bounding box 0.53, and its centre is at (0.50, 0.58). A moving head needs a little
# more space.
FACE_SIZE = 0.48
FACE_CENTRE = (0.50, 0.57)

# Before an image shrinks by a factor s it is blurred with sigma = this * sqrt(s^2 - 1) pixels,
# against aliasing.
SHRINK_BLUR = 0.4


@dataclass(frozen=True)
class FaceCrop:
    """A square of an image: outer corner at (x - 0.5, y - 0.5), side `size`, in pixels.

    It need not lie on whole pixels, and may reach outside the image.
    """

    x: float
    y: float
    size: float

    def to_crop(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2 or 3) in pixels of the image to pixels of the crop; z is scaled too."""
        scale = IMAGE_SIZE / self.size
        moved = np.array(points, np.float64)
        moved[..., :2] = (moved[..., :2] + 0.5 - (self.x, self.y)) * scale - 0.5
        moved[..., 2:] *= scale
        return moved

    def to_image(self, points: np.ndarray) -> np.ndarray:
        """The inverse of `to_crop`."""
        scale = self.size / IMAGE_SIZE
        moved = np.array(points, np.float64)
        moved[..., :2] = (moved[..., :2] + 0.5) * scale - 0.5 + (self.x, self.y)
        moved[..., 2:] *= scale
        return moved


def face_crop(landmarks: np.ndarray) -> FaceCrop:
    """The square that frames landmarks (68, 2 or 3) in pixels as the release's images do."""
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    size = max(float((high - low).max()) / FACE_SIZE, 1.0)
    corner = (low + high) / 2 + 0.5 - np.array(FACE_CENTRE) * size
    return FaceCrop(float(corner[0]), float(corner[1]), size)


def cut(image: np.ndarray, crop: FaceCrop, size: int = IMAGE_SIZE) -> np.ndarray:
    """Cut a crop out of an image (H, W, C) uint8, whose border is repeated outside.

    Returns (size, size, C) uint8.
    """
    step = crop.size / size
    first = np.array([crop.x, crop.y]) + 0.5 * step - 0.5
    return resample(image, first, step, (size, size))


def shrink_blur(step: float) -> float:
    """Sigma in pixels of the blur before samples `step` pixels apart are taken; 0 if negligible."""
    sigma = SHRINK_BLUR * float(np.sqrt(max(step * step - 1.0, 0.0)))
    return sigma if sigma > 0.1 else 0.0


def resample(
    image: np.ndarray, first: np.ndarray, step: float, size: tuple[int, int]
) -> np.ndarray:
    """Samples of an image on a regular grid; its border is repeated outside.

    Args:
        image: (H, W) or (H, W, C), uint8 or float32.
        first: (x, y) of the first sample in pixels of the image.
        step: distance of neighbouring samples in pixels of the image.
        size: (width, height) of the result.
    """
    # Only the region that is sampled is blurred, with a margin for the blur and the interpolation.
    sigma = shrink_blur(step)
    margin = int(np.ceil(4 * sigma)) + 3
    low = np.floor(first).astype(int) - margin
    high = np.ceil(first + step * (np.array(size) - 1)).astype(int) + margin
    region = pixels(image, low, high + 1)
    if sigma > 0:
        region = cv2.GaussianBlur(region, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return cv2.warpAffine(
        region,
        np.array([[step, 0.0, first[0] - low[0]], [0.0, step, first[1] - low[1]]]),
        size,
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an image to a size (width, height): area when it shrinks, cubic when it grows."""
    interpolation = cv2.INTER_AREA if size[0] < image.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(image, size, interpolation=interpolation)


def pixels(image: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Whole pixels of an image from (x, y) up to, not including, another (x, y).

    The image's border is repeated outside; inside, the result is a view.
    """
    height, width = image.shape[:2]
    if (low >= 0).all() and (high <= (width, height)).all():
        return image[low[1] : high[1], low[0] : high[0]]
    rows = np.clip(np.arange(low[1], high[1]), 0, height - 1)
    columns = np.clip(np.arange(low[0], high[0]), 0, width - 1)
    return np.ascontiguousarray(image[rows][:, columns])
