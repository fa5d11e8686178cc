"""The square round the face pasted back into its picture.

Coordinates are those of `src.face.crop`.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from src.face.crop import CROP_SIZE, FaceCrop, resample, shrink_blur
from src.render.warp.plane import smoothstep

# Part of the square's side over which a pasted crop fades in.
_FEATHER = 0.12

# Of what is pasted; less than that changes no 8-bit colour.
_LEAST_SHARE = 1 / 512


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
                low, high = crop.to_image(np.array([used[[0, -1]] + (-2, 2)] * 2).T)[:, axis]
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
        return resample(crop_image, first, CROP_SIZE / self.crop.size, size)

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """What `enlarged` multiplies with, for those who do it by matrix products.

        Returns:
            (rows, CROP_SIZE) and (columns, CROP_SIZE) float32; R @ content @ C.T is the content in
            the picture's size.
        """
        step = CROP_SIZE / self.crop.size
        identity = np.eye(CROP_SIZE, dtype=np.float32)
        sigma = shrink_blur(step)
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
