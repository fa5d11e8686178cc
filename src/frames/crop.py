"""The square round the face, cut out at the networks' size and pasted back.

Coordinates are those of pixel centres: (0, 0) is the centre of the first pixel, its outer corner
is (-0.5, -0.5).
"""

from dataclasses import dataclass

import cv2
import numpy as np

from src.frames.plane import smoothstep

CROP_SIZE = 256
"""Side in pixels of the pictures that the image-translation network sees (the paper, section 5)."""

# Where the face sits in the square. The medians of the published release's 48 example pictures
# are: jaw 0.52 of the side, the landmarks' box 0.53 wide and its centre at (0.50, 0.58). A little
# more room is left for a moving head.
_FACE_SHARE = 0.48
_FACE_CENTRE = (0.50, 0.57)

# Part of the square's side over which a pasted crop fades in.
_FEATHER = 0.12

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

    def to_picture(self, points: np.ndarray) -> np.ndarray:
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


def cut(picture: np.ndarray, crop: FaceCrop) -> np.ndarray:
    """The crop's square of a picture at CROP_SIZE, the picture's edges repeated outside it.

    Args:
        picture: (H, W, C) uint8.

    Returns:
        (CROP_SIZE, CROP_SIZE, C) uint8.
    """
    first = crop.to_picture(np.zeros(2))
    return _resample(picture, first, crop.size / CROP_SIZE, (CROP_SIZE, CROP_SIZE))


def paste(picture: np.ndarray, crop: FaceCrop, crop_image: np.ndarray) -> np.ndarray:
    """A picture with a crop's content put back where the crop was cut from.

    The crop fades in from its border inwards, except along the picture's own edges, so that there
    is no seam; pixels outside the square stay exactly as they are.

    Args:
        picture: (H, W, 3 or 4) uint8; alpha stays as it is.
        crop_image: (CROP_SIZE, CROP_SIZE, 3 or more) uint8.

    Returns:
        A new (H, W, 3 or 4) uint8 picture.
    """
    pasted = picture.copy()
    height, width = picture.shape[:2]
    left, columns = _fade(crop.x, crop.size, width)
    top, rows = _fade(crop.y, crop.size, height)
    if not columns.size or not rows.size:
        return pasted
    first = crop.to_crop(np.array([left, top]))
    face = _resample(crop_image[:, :, :3], first, CROP_SIZE / crop.size, (len(columns), len(rows)))
    share = (rows[:, None] * columns[None, :])[:, :, None].astype(np.float32)
    region = pasted[top : top + len(rows), left : left + len(columns), :3]
    region[...] = np.round(region + (face.astype(np.float32) - region) * share).astype(np.uint8)
    return pasted


def _fade(start: float, size: float, length: int) -> tuple[int, np.ndarray]:
    """Along one axis: the first pixel inside a square, and the share 0-1 of the crop in each.

    Args:
        start: the square's beginning on this axis; the picture's is 0 and its end `length`.
    """
    first = max(0, int(np.ceil(start - 0.5)))
    last = min(length - 1, int(np.floor(start + size - 0.5)))
    centres = np.arange(first, last + 1) + 0.5
    share = np.ones(len(centres))
    # A side that lies on or outside the picture's edge has no neighbour to fade into.
    if start > 0:
        share *= smoothstep((centres - start) / (_FEATHER * size))
    if start + size < length:
        share *= smoothstep((start + size - centres) / (_FEATHER * size))
    return first, share


def _resample(
    image: np.ndarray, first: np.ndarray, step: float, size: tuple[int, int]
) -> np.ndarray:
    """Samples of an image on a regular grid, its edges repeated outside.

    Args:
        image: (H, W, C) uint8.
        first: (x, y) of the first sample in pixels of the image.
        step: distance of neighbouring samples in pixels of the image.
        size: (width, height) of the result.
    """
    # Only the part that is looked at is blurred, with a margin for the blur and the cubic.
    sigma = _SHRINK_BLUR * np.sqrt(max(step * step - 1.0, 0.0))
    margin = int(np.ceil(4 * sigma)) + 3
    low = np.floor(first).astype(int) - margin
    high = np.ceil(first + step * (np.array(size) - 1)).astype(int) + margin
    columns = np.clip(np.arange(low[0], high[0] + 1), 0, image.shape[1] - 1)
    rows = np.clip(np.arange(low[1], high[1] + 1), 0, image.shape[0] - 1)
    part = np.ascontiguousarray(image[rows][:, columns])
    if sigma > 0.1:
        part = cv2.GaussianBlur(part, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    to_part = np.array([[step, 0.0, first[0] - low[0]], [0.0, step, first[1] - low[1]]])
    return cv2.warpAffine(
        part,
        to_part,
        size,
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
