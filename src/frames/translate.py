"""The paper's renderer: drawn landmarks and a portrait go through the image-translation network."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch

from src.frames.crop import CROP_SIZE, FaceCrop, cut, paste
from src.frames.draw import landmark_picture
from src.networks.image_translation import ResUnetGenerator

WHITE = 255.0
BATCH = {"cpu": 2, "cuda": 16}
"""Frames that go through the network at once, by kind of device: bounds the memory."""


class TranslationRenderer:
    """Renders a portrait's face with a network that sees a square of 256 pixels.

    Args:
        network: in eval mode, on `device`.
        picture: the portrait, uint8 BGR (H, W, 3).
        crop: the square of it that the network sees and what it makes is pasted into.
        device: where the network is.
        batch: frames at once; by the device where None.
    """

    def __init__(
        self,
        network: ResUnetGenerator,
        picture: np.ndarray,
        crop: FaceCrop,
        device: torch.device | str = "cpu",
        batch: int | None = None,
    ) -> None:
        self.network = network
        self.picture = picture
        self.crop = crop
        self.device = torch.device(device)
        self.batch = batch or BATCH.get(self.device.type, 1)
        self._portrait = self._tensor(cut(picture, crop)[None])

    def faces(self, landmarks: np.ndarray) -> np.ndarray:
        """The network's pictures for landmarks (B, 68, 2 or 3) in pixels of the crop.

        Returns:
            (B, 256, 256, 3) uint8 BGR.
        """
        drawn = self._tensor(np.stack([landmark_picture(face, CROP_SIZE) for face in landmarks]))
        portrait = self._portrait.expand(len(drawn), -1, -1, -1)
        with torch.inference_mode():
            colours = torch.tanh(self.network(torch.cat([drawn, portrait], dim=1)))
        colours = (colours.clamp(min=0) * WHITE).round().to(torch.uint8)
        return colours.permute(0, 2, 3, 1).cpu().numpy()

    def frames(self, landmarks: np.ndarray) -> Iterator[np.ndarray]:
        """The portrait with its face moved, frame by frame.

        Args:
            landmarks: (T, 68, 2 or 3) in pixels of the crop.

        Yields:
            uint8 BGR (H, W, 3) as large as the portrait.
        """
        for start in range(0, len(landmarks), self.batch):
            # Only while the network runs: the caller encodes and draws between the frames.
            with exact_convolutions():
                faces = self.faces(landmarks[start : start + self.batch])
            for face in faces:
                yield paste(self.picture, self.crop, face)

    def _tensor(self, pictures: np.ndarray) -> torch.Tensor:
        """uint8 (B, H, W, 3) as float32 (B, 3, H, W) in 0-1 on the device."""
        tensor = torch.from_numpy(np.ascontiguousarray(pictures)).to(self.device)
        return tensor.permute(0, 3, 1, 2).float() / WHITE


@contextlib.contextmanager
def exact_convolutions() -> Iterator[None]:
    """CUDA's fast search for kernels, since all pictures have one size, but no TF32."""
    before = (torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32)
    torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = True, False
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = before
