"""Blend generated content of a face crop into images. Coordinates are those of `src.face.crop`."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from scipy import ndimage

from src.face.crop import FaceCrop, resample, shrink_blur
from src.models.dimensions import IMAGE_SIZE
from src.render.warp.plane import Box, smoothstep

WHOLE_CROP = Box(0, 0, IMAGE_SIZE, IMAGE_SIZE)
"""The window of a crop that is all of it."""

FEATHER = 0.12 * IMAGE_SIZE
"""Pixels over which a whole crop fades in."""


class Compositor:
    """Blends the content of a crop's window into images of one size.

    The content fades in from the window's border inwards, except along the image's own edges, so
    that there is no seam; pixels outside the window stay exactly as they are.

    Args:
        shape: (H, W, ...) of the images.
        crop: where the crop was cut from.
        window: pixels of the crop that the content covers.
        feather: pixels of the crop over which the content fades in.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        crop: FaceCrop,
        window: Box = WHOLE_CROP,
        feather: float = FEATHER,
    ) -> None:
        self.window = window
        scale = crop.size / IMAGE_SIZE
        firsts, weights = [], []
        for axis, corner, length in ((0, crop.x, shape[1]), (1, crop.y, shape[0])):
            start = corner + scale * window[axis]
            end = start + scale * window.size[axis]
            first = max(0, int(np.ceil(start - 0.5)))
            centres = np.arange(first, min(length - 1, int(np.floor(end - 0.5))) + 1) + 0.5
            weight = np.ones(len(centres))
            # A side that lies on or outside the image's edge has no neighbour to fade into.
            if start > 0:
                weight *= smoothstep((centres - start) / (scale * feather))
            if end < length:
                weight *= smoothstep((end - centres) / (scale * feather))
            firsts.append(first)
            weights.append(weight.astype(np.float32))
        self._weight = weights[1][:, None] * weights[0]
        height, width = self._weight.shape
        self._pixels = np.s_[firsts[1] : firsts[1] + height, firsts[0] : firsts[0] + width]
        # Of the content: the place of the first pixel, and the step to the next one.
        self._first = crop.to_crop(np.array(firsts)) - window[:2]
        self._step = 1 / scale

    def __call__(
        self, images: Sequence[np.ndarray], content: torch.Tensor, alpha: torch.Tensor | None
    ) -> list[np.ndarray]:
        """Blend each content into a copy of its image.

        Args:
            images: B of uint8 (H, W, 3).
            content: (B, 3, h, w) in 0-1, as large as the window.
            alpha: (B, 1, h, w) mask of the content in 0-1, or None for 1.
        """
        contents = (content * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        alphas = [None] * len(images) if alpha is None else alpha[:, 0].cpu().numpy()
        return list(map(self.paste, images, contents, alphas))

    def paste(
        self, image: np.ndarray, content: np.ndarray, alpha: np.ndarray | None = None
    ) -> np.ndarray:
        """Blend content (h, w, 3) uint8 with an alpha mask (h, w) float32 into a copy of an image.

        Where alpha is 0 the image stays exactly as it is.
        """
        pasted = image.copy()
        weight = self._weight
        if weight.size == 0:
            return pasted
        size = weight.shape[::-1]
        if alpha is not None:
            weight = weight * resample(alpha, self._first, self._step, size).clip(0, 1)
        face = resample(content, self._first, self._step, size)
        before = pasted[self._pixels]
        before[...] = cv2.blendLinear(face, before, weight, 1 - weight)
        return pasted


class DeviceCompositor(Compositor):
    """A `Compositor` that resizes and blends whole batches on the content's PyTorch device."""

    def __init__(self, device: torch.device, *args) -> None:
        super().__init__(*args)
        self._device_weight = torch.from_numpy(self._weight).to(device)
        # Resizing is the product rows @ content @ columns.T.
        self._columns, self._rows = (
            torch.from_numpy(self._resize_matrix(*sizes)).to(device)
            for sizes in zip(self._first, self.window.size, self._weight.shape[::-1], strict=True)
        )

    def _resize_matrix(self, first: float, length: int, count: int) -> np.ndarray:
        """`resample` of one axis as a matrix (count, length)."""
        identity = np.eye(length, dtype=np.float32)
        blurred = ndimage.gaussian_filter(identity, (shrink_blur(self._step), 0), mode="nearest")
        return cv2.warpAffine(
            blurred,
            np.array([[1, 0, 0], [0, self._step, first]]),
            (length, count),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )

    def __call__(
        self, images: Sequence[np.ndarray], content: torch.Tensor, alpha: torch.Tensor | None
    ) -> list[np.ndarray]:
        """As `Compositor`'s, but for rounding."""
        before = torch.from_numpy(np.stack([image[self._pixels] for image in images]))
        before = before.to(content.device).permute(0, 3, 1, 2).float()
        weight = self._device_weight
        if alpha is not None:
            weight = weight * (self._rows @ alpha @ self._columns.T).clamp(0, 1)
        after = (self._rows @ content @ self._columns.T).clamp(0, 1) * 255
        after = torch.lerp(before, after, weight.expand_as(before)).round().to(torch.uint8)
        after = after.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        frames = [image.copy() for image in images]
        for frame, region in zip(frames, after, strict=True):
            frame[self._pixels] = region
        return frames
