"""The square round a face, cut out at the networks' size.

Coordinates are those of pixel centres: (0, 0) is the centre of the first pixel, its outer corner
is (-0.5, -0.5).
"""

from dataclasses import dataclass

import cv2
import numpy as np

from src.models.dimensions import IMAGE_SIZE as CROP_SIZE

# Where the face sits in the square. The medians of the published release's 48 example pictures
# are: jaw 0.52 of the side, the landmarks' box 0.53 wide and its centre at (0.50, 0.58). A little
# more room is left for a moving head.
_FACE_SHARE = 0.48
_FACE_CENTRE = (0.50, 0.57)

# Before a picture shrinks by a factor s it is blurred with sigma = this * sqrt(s^2 - 1) pixels,
# which keeps detail finer than the new pixels from aliasing.
_SHRINK_BLUR = 0.4


@dataclass(frozen=True)
class FaceCrop:
    """A square of a picture: outer corner at (x - 0.5, y - 0.5), side `size`, all in its pixels.

    It need not lie on whole pixels, and may reach outside the picture.
    """

    x: float
    y: float
    size: float

    def to_crop(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2 or 3) in pixels of the picture to pixels of the crop; z is scaled too."""
        scale = CROP_SIZE / self.size
        moved = np.array(points, np.float64)
        moved[..., :2] = (moved[..., :2] + 0.5 - (self.x, self.y)) * scale - 0.5
        moved[..., 2:] *= scale
        return moved

    def to_image(self, points: np.ndarray) -> np.ndarray:
        """The inverse of `to_crop`."""
        scale = self.size / CROP_SIZE
        moved = np.array(points, np.float64)
        moved[..., :2] = (moved[..., :2] + 0.5) * scale - 0.5 + (self.x, self.y)
        moved[..., 2:] *= scale
        return moved


def face_crop(landmarks: np.ndarray) -> FaceCrop:
    """The square round a face in which it is framed as in the published release's pictures.

    Args:
        landmarks: (68, 2 or 3) in pixels of the picture.
    """
    least = landmarks[:, :2].min(axis=0)
    most = landmarks[:, :2].max(axis=0)
    size = max(float((most - least).max()) / _FACE_SHARE, 1.0)
    corner = (least + most) / 2 + 0.5 - np.array(_FACE_CENTRE) * size
    return FaceCrop(float(corner[0]), float(corner[1]), size)


def cut(picture: np.ndarray, crop: FaceCrop, size: int = CROP_SIZE) -> np.ndarray:
    """The crop's square of a picture, the picture's edges repeated outside it.

    Args:
        picture: (H, W, C) uint8.
        size: pixels of a side of the result.

    Returns:
        (size, size, C) uint8.
    """
    step = crop.size / size
    first = np.array([crop.x, crop.y]) + 0.5 * step - 0.5
    return resample(picture, first, step, (size, size))


def shrink_blur(step: float) -> float:
    """Pixels of blur (sigma) before samples `step` pixels apart are taken, 0 for next to none."""
    sigma = _SHRINK_BLUR * float(np.sqrt(max(step * step - 1.0, 0.0)))
    return sigma if sigma > 0.1 else 0.0


def resample(
    image: np.ndarray, first: np.ndarray, step: float, size: tuple[int, int]
) -> np.ndarray:
    """Samples of an image on a regular grid, its edges repeated outside.

    Args:
        image: (H, W) or (H, W, C), uint8 or float32.
        first: (x, y) of the first sample in pixels of the image.
        step: distance of neighbouring samples in pixels of the image.
        size: (width, height) of the result.
    """
    # Only the part that is looked at is blurred, with a margin for the blur and the cubic.
    sigma = shrink_blur(step)
    margin = int(np.ceil(4 * sigma)) + 3
    low = np.floor(first).astype(int) - margin
    high = np.ceil(first + step * (np.array(size) - 1)).astype(int) + margin
    if (low >= 0).all() and (high < (image.shape[1], image.shape[0])).all():
        part = image[low[1] : high[1] + 1, low[0] : high[0] + 1]
    else:
        columns = np.clip(np.arange(low[0], high[0] + 1), 0, image.shape[1] - 1)
        rows = np.clip(np.arange(low[1], high[1] + 1), 0, image.shape[0] - 1)
        part = np.ascontiguousarray(image[rows][:, columns])
    if sigma > 0:
        part = cv2.GaussianBlur(part, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    to_part = np.array([[step, 0.0, first[0] - low[0]], [0.0, step, first[1] - low[1]]])
    return cv2.warpAffine(
        part,
        to_part,
        size,
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
