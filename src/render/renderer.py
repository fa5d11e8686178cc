"""The interface of renderers, and the registry of those that animate portraits."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch

    from src.face.crop import FaceCrop
    from src.models.image_translation import ResUnetGenerator

RENDERERS = {
    "warp": "src.render.warp.portrait:make_warp_renderer",
    "unet": "src.render.unet:UNetRenderer",
}
"""Name to "module:factory"; a module is imported when it is used."""


class Renderer(Protocol):
    """Turns landmarks into frames of one still image."""

    def adapt_landmarks(self, landmarks: np.ndarray) -> np.ndarray:
        """Adapt the still landmarks (68, 3), in pixels, from which motion starts.

        By default they stay as they are.
        """
        return landmarks

    def render(self, landmarks: np.ndarray) -> np.ndarray:
        """The frame (H, W, 3) uint8 BGR for landmarks (68, >= 2) in pixels of the image.

        A renderer that works in batches overrides `frames` instead.
        """
        raise NotImplementedError

    def frames(self, landmarks: np.ndarray) -> Iterator[np.ndarray]:
        """Render landmarks (T, 68, >= 2), one frame at a time.

        Where a renderer has threads, they end when the generator is closed.
        """
        for face in landmarks:
            yield self.render(face)


def make_renderer(
    name: str,
    image: np.ndarray,
    landmarks: np.ndarray,
    network: ResUnetGenerator | None = None,
    device: torch.device | str = "cpu",
    crop: FaceCrop | None = None,
) -> Renderer:
    """Construct the renderer of a portrait.

    Args:
        name: a key of `RENDERERS`.
        image: the portrait, uint8 BGR (H, W, 3).
        landmarks: (68, >= 2) of the portrait in its pixels.
        network: the image-translation network in eval mode on `device`, which "unet" needs.
        device: where networks run.
        crop: the square that the network sees; `face_crop(landmarks)` by default.
    """
    module, factory = RENDERERS[name].split(":")
    make = getattr(importlib.import_module(module), factory)
    return make(image, landmarks, network=network, device=device, crop=crop)
