"""Blend the content of a face crop back into its image.

Coordinates are those of `src.face.crop`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from src.face.crop import FaceCrop, resample, shrink_blur
from src.models.dimensions import IMAGE_SIZE
from src.render.warp.plane import smoothstep

_FEATHER = 0.12  # of the crop's side, over which a pasted crop fades in
_LEAST_ALPHA = 1 / 512  # less than that changes no 8-bit colour


def paste(
    image: np.ndarray, crop: FaceCrop, content: np.ndarray, alpha: np.ndarray | None = None
) -> np.ndarray:
    """Paste a crop's content into an image, where the crop was cut from.

    The content fades in from the crop's border inwards, except along the image's own edges, so that
    there is no seam; pixels outside the crop stay exactly as they are.

    Args:
        image: (H, W, 3 or 4) uint8; an alpha channel stays as it is.
        content: (IMAGE_SIZE, IMAGE_SIZE, 3 or more) uint8.
        alpha: (IMAGE_SIZE, IMAGE_SIZE) float32 mask of the content, 0-1; 1 everywhere by default.
            Where it is 0 the image stays exactly as it is.

    Returns:
        A new (H, W, 3 or 4) uint8 image.
    """
    pasted = image.copy()
    region = CropRegion.of(image, crop, alpha)
    if region is None:
        return pasted
    face = region.resize(content[:, :, :3])
    weight = region.weight
    if alpha is not None:
        weight = weight * np.clip(region.resize(alpha), 0.0, 1.0)
    pixels = pasted[region.rows, region.columns, :3]
    pixels[...] = cv2.blendLinear(face, pixels, weight, 1.0 - weight)
    return pasted


@dataclass(frozen=True)
class CropRegion:
    """The pixels of an image that a crop's content changes, and its blending weight in each."""

    crop: FaceCrop
    rows: slice
    columns: slice
    weight: np.ndarray  # (rows, columns) float32 0-1

    @classmethod
    def of(
        cls, image: np.ndarray, crop: FaceCrop, alpha: np.ndarray | None = None
    ) -> CropRegion | None:
        """The region of a crop, narrowed to where the content is visible; None if it is nowhere.

        Args:
            image: (H, W, ...).
            alpha: (IMAGE_SIZE, IMAGE_SIZE) mask of the content, 0-1.
        """
        height, width = image.shape[:2]
        spans = []
        for axis, (start, length) in enumerate(((crop.x, width), (crop.y, height))):
            first, fade = edge_fade(start, crop.size, length, _FEATHER * crop.size)
            if alpha is not None:
                used = np.flatnonzero((alpha > _LEAST_ALPHA).any(axis))
                if not used.size:
                    return None
                # Cubic interpolation reaches two pixels of the crop further.
                low, high = crop.to_image(np.array([used[[0, -1]] + (-2, 2)] * 2).T)[:, axis]
                low = int(np.clip(np.floor(low) - first, 0, len(fade)))
                high = int(np.clip(np.ceil(high) + 1 - first, 0, len(fade)))
                first, fade = first + low, fade[low:high]
            if not fade.size:
                return None
            spans.append((slice(first, first + len(fade)), fade.astype(np.float32)))
        (columns, across), (rows, down) = spans
        return cls(crop, rows, columns, down[:, None] * across[None, :])

    def resize(self, content: np.ndarray) -> np.ndarray:
        """Content (IMAGE_SIZE, IMAGE_SIZE[, C]) of the crop at the pixels of this region."""
        first = self.crop.to_crop(np.array([self.columns.start, self.rows.start]))
        size = (self.weight.shape[1], self.weight.shape[0])
        return resample(content, first, IMAGE_SIZE / self.crop.size, size)

    def resize_matrices(self) -> tuple[np.ndarray, np.ndarray]:
        """`resize` as two matrix products: rows @ content @ columns.T.

        Returns:
            rows (R, IMAGE_SIZE) and columns (C, IMAGE_SIZE), float32.
        """
        step = IMAGE_SIZE / self.crop.size
        identity = np.eye(IMAGE_SIZE, dtype=np.float32)
        sigma = shrink_blur(step)
        if sigma > 0:
            identity = cv2.GaussianBlur(
                identity, (0, 0), 1e-3, sigmaY=sigma, borderType=cv2.BORDER_REPLICATE
            )
        first = self.crop.to_crop(np.array([self.columns.start, self.rows.start]))
        across, down = (
            cv2.warpAffine(
                identity,
                np.array([[1, 0, 0], [0, step, start]]),
                (IMAGE_SIZE, count),
                flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
            for start, count in zip(first, self.weight.shape[::-1], strict=True)
        )
        return down, across


class DeviceCompositor:
    """`paste` for batches of images on a PyTorch device.

    Args:
        region: where the crop's content goes.
        device: of the content and its alpha mask.
    """

    def __init__(self, region: CropRegion, device: torch.device) -> None:
        self._pixels = region.rows, region.columns
        self._weight = torch.from_numpy(region.weight).to(device)
        self._rows, self._columns = (
            torch.from_numpy(matrix).to(device) for matrix in region.resize_matrices()
        )

    def __call__(
        self, images: list[np.ndarray], content: torch.Tensor, alpha: torch.Tensor | None
    ) -> list[np.ndarray]:
        """Paste each content into its image.

        Args:
            images: B of uint8 (H, W, 3), left as they are.
            content: (B, 3, IMAGE_SIZE, IMAGE_SIZE) in 0-1.
            alpha: (B, 1, IMAGE_SIZE, IMAGE_SIZE) mask of the content in 0-1, or None for 1.
        """
        before = torch.from_numpy(np.stack([image[self._pixels] for image in images]))
        before = before.to(content.device).permute(0, 3, 1, 2).float()
        weight = self._weight
        if alpha is not None:
            weight = weight * self._resize(alpha).clamp(0, 1)
        after = self._resize(content).clamp(0, 1) * 255
        after = torch.lerp(before, after, weight.expand_as(before)).round().to(torch.uint8)
        after = after.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        frames = [image.copy() for image in images]
        for frame, pixels in zip(frames, after, strict=True):
            frame[self._pixels] = pixels
        return frames

    def _resize(self, content: torch.Tensor) -> torch.Tensor:
        return self._rows @ content @ self._columns.T


def edge_fade(start: float, size: float, length: int, feather: float) -> tuple[int, np.ndarray]:
    """Blending weights along one axis of a part of an image.

    Args:
        start: beginning of the part; the image's is 0 and its end `length`.
        size: extent of the part in pixels.
        feather: pixels over which the part fades in from each side inside the image.

    Returns:
        The first pixel inside the part, and the weight 0-1 of each pixel from there on.
    """
    first = max(0, int(np.ceil(start - 0.5)))
    last = min(length - 1, int(np.floor(start + size - 0.5)))
    centres = np.arange(first, last + 1) + 0.5
    weight = np.ones(len(centres))
    # A side that lies on or outside the image's edge has no neighbour to fade into.
    if start > 0:
        weight *= smoothstep((centres - start) / feather)
    if start + size < length:
        weight *= smoothstep((start + size - centres) / feather)
    return first, weight
