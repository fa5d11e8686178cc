"""The sampler of `src.render.mesh` on a PyTorch device, to the same numbers as OpenCV's."""

from __future__ import annotations

import numpy as np
import torch

STEPS = 32
"""Places from one pixel to the next at which cv2.remap samples an image."""


class TorchSampler:
    """`src.render.mesh.OpenCVSampler` on a device, equal to the bit.

    Args:
        image: uint8 (H, W, 3) without a background, or premultiplied (H, W, 4) with one.
        background: uint8 (H, W, 3) or None.
    """

    def __init__(
        self, image: np.ndarray, background: np.ndarray | None, device: torch.device | str
    ) -> None:
        self._size = height, width = image.shape[:2]
        self._device = torch.device(device)
        self._image = self._tensor(image.reshape(height * width, -1)).int()
        self._background = None if background is None else self._tensor(background).float()
        self._columns = torch.arange(width, device=device, dtype=torch.float32)
        self._rows = torch.arange(height, device=device, dtype=torch.float32)[:, None]

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device)

    @torch.inference_mode()
    def __call__(self, index: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """Render a frame (H, W, 3) uint8.

        Args:
            index: (H, W), 1 + the number of each pixel's triangle, 0 for none.
            coefficients: (M, 2, 3) of the triangles' maps, see `src.render.mesh.affine_maps`.
        """
        table = np.zeros((6, len(coefficients) + 1), np.float32)
        table[:, 1:] = coefficients.reshape(-1, 6).T
        triangle = self._tensor(index).int()
        terms = self._tensor(table)[:, triangle]
        # One operation at a time, in OpenCV's order, so that both round alike.
        x, y = (terms[i] * self._columns + terms[i + 1] * self._rows + terms[i + 2] for i in (0, 3))
        frame = self._bilinear(x, y)
        frame[triangle == 0] = 0
        if self._background is not None:
            behind = self._background * (255 - frame[..., 3:]) * (1 / 255)
            frame = (frame[..., :3] + behind.round().int()).clamp(max=255)
        return frame.byte().cpu().numpy()

    def _bilinear(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Sample the image at x and y (H, W), its edges repeated outside: (H, W, C) int32."""
        height, width = self._size
        pixels, weights = [], []
        for place, size in ((x, width), (y, height)):
            steps = (place.clamp(-2, size + 1) * STEPS).round().int()
            floor = steps.div(STEPS, rounding_mode="floor")
            pixels.append([(floor + k).clamp(0, size - 1) for k in (0, 1)])
            weights.append([STEPS - (steps - floor * STEPS), steps - floor * STEPS])
        total = 0
        for row, down in zip(pixels[1], weights[1], strict=True):
            for column, right in zip(pixels[0], weights[0], strict=True):
                total = total + self._image[row * width + column] * (down * right)[..., None]
        return (total + STEPS * STEPS // 2) // (STEPS * STEPS)
