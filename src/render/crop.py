"""The square round the face, cut out at the networks' size and pasted back.

Coordinates are those of pixel centres: (0, 0) is the centre of the first pixel, its outer corner
is (-0.5, -0.5).
"""

from dataclasses import dataclass

import cv2
import numpy as np

from src.render.warp.plane import smoothstep

CROP_SIZE = 256
"""Side in pixels of the pictures that the image-translation network sees (the paper, section 5)."""

# Where the face sits in the square. The medians of the published release's 48 example pictures
# are: jaw 0.52 of the side, the landmarks' box 0.53 wide and its centre at (0.50, 0.58). A little
# more room is left for a moving head.
_FACE_SHARE = 0.48
_FACE_CENTRE = (0.50, 0.57)

# Part of the square's side over which a pasted crop fades in.
_FEATHER = 0.12

# Of what is pasted; less than that changes no 8-bit colour.
_LEAST_SHARE = 1 / 512

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
    return _resample(picture, first, step, (size, size))


def paste(
    picture: np.ndarray,
    crop: FaceCrop,
    crop_image: np.ndarray,
    share: np.ndarray | None = None,
) -> np.ndarray:
    """A picture with a crop's content put back where the crop was cut from.

    The crop fades in from its border inwards, except along the picture's own edges, so that there
    is no seam; pixels outside the square stay exactly as they are.

    Args:
        picture: (H, W, 3 or 4) uint8; alpha stays as it is.
        crop_image: (CROP_SIZE, CROP_SIZE, 3 or more) uint8.
        share: (CROP_SIZE, CROP_SIZE) float32, how much of the content to take, 0-1; all of it
            where None. Where it is 0 the picture stays exactly as it is.

    Returns:
        A new (H, W, 3 or 4) uint8 picture.
    """
    pasted = picture.copy()
    place = Place.of(picture, crop, share)
    if place is None:
        return pasted
    face = place.enlarged(crop_image[:, :, :3])
    weight = place.fade
    if share is not None:
        weight = weight * np.clip(place.enlarged(share), 0.0, 1.0)
    region = pasted[place.rows, place.columns, :3]
    region[...] = cv2.blendLinear(face, region, weight, 1.0 - weight)
    return pasted


@dataclass(frozen=True)
class Place:
    """Where in a picture a crop's content goes, or the part of it that changes anything."""

    crop: FaceCrop
    rows: slice
    columns: slice
    fade: np.ndarray  # (rows, columns) float32 0-1: share of the content where all is to be taken

    @classmethod
    def of(
        cls, picture: np.ndarray, crop: FaceCrop, share: np.ndarray | None = None
    ) -> "Place | None":
        """The place of a crop, narrowed to where `share` is not 0; None where nothing is left.

        Args:
            picture: (H, W, ...).
            share: (CROP_SIZE, CROP_SIZE) 0-1.
        """
        height, width = picture.shape[:2]
        spans = []
        for axis, (start, length) in enumerate(((crop.x, width), (crop.y, height))):
            first, fade = edge_fade(start, crop.size, length, _FEATHER * crop.size)
            if share is not None:
                used = np.flatnonzero((share > _LEAST_SHARE).any(axis))
                if not used.size:
                    return None
                # The cubic reaches two pixels of the crop further.
                low, high = crop.to_picture(np.array([used[[0, -1]] + (-2, 2)] * 2).T)[:, axis]
                low = int(np.clip(np.floor(low) - first, 0, len(fade)))
                high = int(np.clip(np.ceil(high) + 1 - first, 0, len(fade)))
                first, fade = first + low, fade[low:high]
            if not fade.size:
                return None
            spans.append((slice(first, first + len(fade)), fade.astype(np.float32)))
        (columns, across), (rows, down) = spans
        return cls(crop, rows, columns, down[:, None] * across[None, :])

    def enlarged(self, crop_image: np.ndarray) -> np.ndarray:
        """Content (CROP_SIZE, CROP_SIZE[, C]) of the crop at this place, in the picture's size."""
        first = self.crop.to_crop(np.array([self.columns.start, self.rows.start]))
        size = (self.fade.shape[1], self.fade.shape[0])
        return _resample(crop_image, first, CROP_SIZE / self.crop.size, size)

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """What `enlarged` multiplies with, for those who do it by matrix products.

        Returns:
            (rows, CROP_SIZE) and (columns, CROP_SIZE) float32; R @ content @ C.T is the content in
            the picture's size.
        """
        step = CROP_SIZE / self.crop.size
        identity = np.eye(CROP_SIZE, dtype=np.float32)
        sigma = _shrink_blur(step)
        if sigma > 0:
            identity = cv2.GaussianBlur(
                identity, (0, 0), 1e-3, sigmaY=sigma, borderType=cv2.BORDER_REPLICATE
            )
        along = np.arange(CROP_SIZE, dtype=np.float32)[None, :]
        # OpenCV wants float32, which NumPy 2 does not keep beside these numbers.
        first = self.crop.to_crop(np.array([self.columns.start, self.rows.start]))
        across, down = (
            cv2.remap(
                identity,
                along.repeat(count, 0),
                (start + step * np.arange(count)).astype(np.float32)[:, None].repeat(CROP_SIZE, 1),
                cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_REPLICATE,
            )
            for start, count in zip(first, self.fade.shape[::-1], strict=True)
        )
        return down, across


def edge_fade(start: float, size: float, length: int, feather: float) -> tuple[int, np.ndarray]:
    """Along one axis: the first pixel inside a part of a picture, and the part's share 0-1 in each.

    Args:
        start: the part's beginning on this axis; the picture's is 0 and its end `length`.
        feather: pixels over which the part fades in from each side that is not the picture's own.
    """
    first = max(0, int(np.ceil(start - 0.5)))
    last = min(length - 1, int(np.floor(start + size - 0.5)))
    centres = np.arange(first, last + 1) + 0.5
    share = np.ones(len(centres))
    # A side that lies on or outside the picture's edge has no neighbour to fade into.
    if start > 0:
        share *= smoothstep((centres - start) / feather)
    if start + size < length:
        share *= smoothstep((start + size - centres) / feather)
    return first, share


def _shrink_blur(step: float) -> float:
    """Pixels of blur (sigma) before samples `step` pixels apart are taken, 0 for next to none."""
    sigma = _SHRINK_BLUR * float(np.sqrt(max(step * step - 1.0, 0.0)))
    return sigma if sigma > 0.1 else 0.0


def _resample(
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
    sigma = _shrink_blur(step)
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
