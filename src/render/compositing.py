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
from src.render.warp.plane import Box, smoothstep

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
    pixels = pasted[region.box.slices(Box.of(image))][..., :3]
    pixels[...] = cv2.blendLinear(face, pixels, weight, 1.0 - weight)
    return pasted


@dataclass(frozen=True)
class CropRegion:
    """The pixels of an image that a crop's content changes, and its blending weight in each."""

    crop: FaceCrop
    box: Box
    weight: np.ndarray  # (H, W) of the box, float32 0-1

    @classmethod
    def of(
        cls, image: np.ndarray, crop: FaceCrop, alpha: np.ndarray | None = None
    ) -> CropRegion | None:
        """The region of a crop, narrowed to where the content is visible; None if it is nowhere.

        Args:
            image: (H, W, ...).
            alpha: (IMAGE_SIZE, IMAGE_SIZE) mask of the content, 0-1.
        """
        whole, weight = rectangle_fade(
            (crop.x, crop.y), (crop.size, crop.size), Box.of(image).size, _FEATHER * crop.size
        )
        box = whole
        if alpha is not None:
            x, y, width, height = cv2.boundingRect((alpha > _LEAST_ALPHA).astype(np.uint8))
            if width == 0:
                return None
            # Cubic interpolation reaches two pixels of the crop further.
            corners = np.array([(x - 2, y - 2), (x + width + 1, y + height + 1)])
            box = Box.around(crop.to_image(corners), 0, whole)
        return cls(crop, box, weight[box.slices(whole)]) if min(box.size) > 0 else None

    def resize(self, content: np.ndarray) -> np.ndarray:
        """Content (IMAGE_SIZE, IMAGE_SIZE[, C]) of the crop at the pixels of this region."""
        first = self.crop.to_crop(np.array(self.box[:2]))
        return resample(content, first, IMAGE_SIZE / self.crop.size, self.box.size)

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
        first = self.crop.to_crop(np.array(self.box[:2]))
        across, down = (
            cv2.warpAffine(
                identity,
                np.array([[1, 0, 0], [0, step, start]]),
                (IMAGE_SIZE, count),
                flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
            for start, count in zip(first, self.box.size, strict=True)
        )
        return down, across


class DeviceCompositor:
    """`paste` for batches of images on a PyTorch device.

    Args:
        region: where the crop's content goes.
        device: of the content and its alpha mask.
    """

    def __init__(self, region: CropRegion, device: torch.device) -> None:
        self._box = region.box
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
        pixels = self._box.slices(Box.of(images[0]))
        before = torch.from_numpy(np.stack([image[pixels] for image in images]))
        before = before.to(content.device).permute(0, 3, 1, 2).float()
        weight = self._weight
        if alpha is not None:
            weight = weight * self._resize(alpha).clamp(0, 1)
        after = self._resize(content).clamp(0, 1) * 255
        after = torch.lerp(before, after, weight.expand_as(before)).round().to(torch.uint8)
        after = after.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        frames = [image.copy() for image in images]
        for frame, region in zip(frames, after, strict=True):
            frame[pixels] = region
        return frames

    def _resize(self, content: torch.Tensor) -> torch.Tensor:
        return self._rows @ content @ self._columns.T


def rectangle_fade(
    corner: tuple[float, float],
    size: tuple[float, float],
    image_size: tuple[int, int],
    feather: float,
) -> tuple[Box, np.ndarray]:
    """Blending weights of a rectangle in an image.

    Args:
        corner: x and y of its upper left corner; the image's is (0, 0).
        size: its width and height in pixels.
        image_size: those of the image.
        feather: pixels over which it fades in from each side inside the image.

    Returns:
        The pixels inside the rectangle, and their weights (H, W) float32 0-1.
    """
    ends, weights = [], []
    for start, extent, length in zip(corner, size, image_size, strict=True):
        first = max(0, int(np.ceil(start - 0.5)))
        last = min(length - 1, int(np.floor(start + extent - 0.5)))
        centres = np.arange(first, last + 1) + 0.5
        weight = np.ones(len(centres))
        # A side that lies on or outside the image's edge has no neighbour to fade into.
        if start > 0:
            weight *= smoothstep((centres - start) / feather)
        if start + extent < length:
            weight *= smoothstep((start + extent - centres) / feather)
        ends.append((first, first + len(centres)))
        weights.append(weight.astype(np.float32))
    (left, right), (top, bottom) = ends
    return Box(left, top, right, bottom), weights[1][:, None] * weights[0]
