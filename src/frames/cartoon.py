"""Frames of a puppet: its drawing warped to moving landmarks, over a background."""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from src.frames.warp import PiecewiseWarp
from src.puppets import Puppet

OPAQUE = 255


class PuppetRenderer:
    """Renders one puppet.

    puppet: with a drawing of (H, W) pixels.
    background: uint8 BGR (H, W, 3), white where none is given; seen through the drawing's alpha.
    """

    def __init__(self, puppet: Puppet, background: np.ndarray | None = None) -> None:
        self.puppet = puppet
        picture = puppet.picture
        height, width = picture.shape[:2]
        if background is None:
            background = np.full((height, width, 3), 255, np.uint8)
        if background.shape != (height, width, 3):
            raise ValueError(f"a background of {background.shape} behind {picture.shape}")
        self._background = background
        self._see_through = picture.shape[2] == 4 and bool((picture[:, :, 3] < OPAQUE).any())
        reference = puppet.vertices(puppet.landmarks)
        drawing = premultiplied(picture) if self._see_through else picture[:, :, :3]
        self._warp = PiecewiseWarp(reference, puppet.triangles, drawing)

    def render(self, landmarks: np.ndarray) -> np.ndarray:
        """The frame (H, W, 3) uint8 BGR for landmarks (68, >=2) in pixels of the drawing."""
        warped = self._warp.render(self.puppet.vertices(landmarks))
        return over(warped, self._background) if self._see_through else warped

    def frames(self, landmarks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Frames for landmarks (T, 68, >=2), one at a time."""
        for face in landmarks:
            yield self.render(face)


def premultiplied(picture: np.ndarray) -> np.ndarray:
    """A drawing (H, W, 4) with its colours multiplied by its alpha, which can be interpolated."""
    alpha = picture[:, :, 3:].astype(np.uint16)
    colours = (picture[:, :, :3] * alpha + OPAQUE // 2) // OPAQUE
    return np.dstack([colours.astype(np.uint8), picture[:, :, 3]])


def over(drawing: np.ndarray, background: np.ndarray) -> np.ndarray:
    """A premultiplied drawing (H, W, 4) over a background (H, W, 3), all uint8."""
    remainder = cv2.bitwise_not(cv2.extractChannel(drawing, 3))
    behind = cv2.multiply(background, cv2.merge([remainder] * 3), scale=1 / OPAQUE)
    return cv2.add(behind, cv2.cvtColor(drawing, cv2.COLOR_BGRA2BGR))
