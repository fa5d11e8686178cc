"""What OpenCV does for `warp.PiecewiseWarp`, on a device of PyTorch: the same numbers."""

from __future__ import annotations

import numpy as np
import torch

from src.render.piecewise import OPAQUE

STEPS = 32
"""Places from one pixel to the next at which pictures are looked up, as OpenCV's remap does it."""


class TorchSampler:
    """Looks pictures up and composites them on a device, to the bit as OpenCV on the processor.

    picture: (H, W) or (H, W, C) uint8. background: None or (H, W, 3) uint8, behind a premultiplied
    picture of 4 channels.
    """

    def __init__(
        self, picture: np.ndarray, background: np.ndarray | None, device: torch.device | str
    ) -> None:
        self._shape = picture.shape
        height, width = picture.shape[:2]
        self._device = torch.device(device)
        self._picture = self._tensor(picture.reshape(height * width, -1)).int()
        self._background = None if background is None else self._tensor(background).float()
        self._columns = torch.arange(width, device=device, dtype=torch.float32)
        self._rows = torch.arange(height, device=device, dtype=torch.float32)[:, None]

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device)

    @torch.inference_mode()
    def __call__(self, index: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """A frame like the picture, or (H, W, 3) over the background.

        index: (H, W) int16, 1 + the number of each pixel's triangle, 0 for none.
        coefficients: (M, 2, 3) of the triangles' maps, see `warp.affine_maps`.
        """
        table = np.zeros((6, len(coefficients) + 1), np.float32)
        table[:, 1:] = coefficients.reshape(-1, 6).T
        triangle = self._tensor(index).int()
        terms = self._tensor(table)[:, triangle]
        # One operation at a time, in the order of the other path: so both round alike.
        places = [
            terms[i] * self._columns + terms[i + 1] * self._rows + terms[i + 2] for i in (0, 3)
        ]
        frame = self._looked_up(*places)
        frame[triangle == 0] = 0
        if self._background is not None:
            behind = self._background * (OPAQUE - frame[..., 3:]) * (1 / OPAQUE)
            frame = (frame[..., :3] + behind.round().int()).clamp(max=OPAQUE)
        frame = frame.byte().cpu().numpy()
        return frame if self._background is not None else frame.reshape(self._shape)

    def _looked_up(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The picture (H, W, C) at places (H, W), bilinear; the border goes on beyond."""
        height, width = self._shape[:2]
        whole, part = [], []
        for place, size in ((x, width), (y, height)):
            steps = (place.clamp(-2, size + 1) * STEPS).round().int()
            floor = steps.div(STEPS, rounding_mode="floor")
            whole.append([(floor + k).clamp(0, size - 1) for k in (0, 1)])
            part.append([STEPS - (steps - floor * STEPS), steps - floor * STEPS])
        total = 0
        for row, down in zip(whole[1], part[1], strict=True):
            for column, right in zip(whole[0], part[0], strict=True):
                total = total + self._picture[row * width + column] * (down * right)[..., None]
        return (total + STEPS * STEPS // 2) // (STEPS * STEPS)
