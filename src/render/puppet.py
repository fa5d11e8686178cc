"""Frames of a puppet: its drawing warped to moving landmarks, over a background."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from src.puppets.puppet import Puppet
from src.render.piecewise import OPAQUE, PiecewiseWarp, premultiplied

if TYPE_CHECKING:
    import torch


class PuppetRenderer:
    """Renders one puppet.

    puppet: with a drawing of (H, W) pixels.
    background: uint8 BGR (H, W, 3), white where none is given; seen through the drawing's alpha.
    device: where frames are made, see `PiecewiseWarp`.
    """

    def __init__(
        self,
        puppet: Puppet,
        background: np.ndarray | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        self.puppet = puppet
        picture = puppet.picture
        size = picture.shape[:2]
        if background is None:
            background = np.full((*size, 3), 255, np.uint8)
        if background.shape != (*size, 3):
            raise ValueError(f"a background of {background.shape} behind {picture.shape}")
        reference = puppet.vertices(puppet.landmarks)
        if picture.shape[2] == 4 and (picture[:, :, 3] < OPAQUE).any():
            layers = premultiplied(picture), background
        else:
            layers = picture[:, :, :3], None
        self._warp = PiecewiseWarp(reference, puppet.triangles, *layers, device)

    def render(self, landmarks: np.ndarray) -> np.ndarray:
        """The frame (H, W, 3) uint8 BGR for landmarks (68, >=2) in pixels of the drawing."""
        return self._warp.render(self.puppet.vertices(landmarks))

    def frames(self, landmarks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Frames for landmarks (T, 68, >=2), one at a time."""
        for face in landmarks:
            yield self.render(face)
