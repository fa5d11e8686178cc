"""Winograd convolution: 3 x 3 convolutions with 4 / 9 of the multiplications, for CPUs.

The algorithm F(2 x 2, 3 x 3) of Lavin and Gray (2016, "Fast Algorithms for Convolutional Neural
Networks", section 4.1): input tiles of 4 x 4 pixels and 3 x 3 kernels are each transformed to 16
values, multiplied elementwise and summed over channels, and transformed back to 2 x 2 pixels. It
pays for many channels, where the transforms are cheap beside the products.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

WEIGHT_SUMS = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))
"""The matrix G of the paper."""

CACHED_BYTES = 8 * 2**20
"""Approximate size of the transformed images processed together, to fit into the CPU cache."""


class WinogradConv(nn.Module):
    """Replacement for a 3 x 3 convolution of stride 1 and padding 1, for inference.

    The output is the same up to rounding, whose error doubles in 16 bits.
    """

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        weight = conv.weight.detach().double()
        matrix = torch.tensor(WEIGHT_SUMS, dtype=weight.dtype, device=weight.device)
        # Columns first, because `_convolve` transforms rows, then columns.
        sums = torch.einsum("ra,oiab,cb->crio", matrix, weight, matrix)
        self.weight = nn.Parameter(sums.to(conv.weight.dtype).flatten(0, 1), requires_grad=False)
        self.bias = conv.bias

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, O, H, W), channels last."""
        rows, columns = images.shape[2:]
        # Zero padding, and to an even size.
        sides = (0, 0, 1, 1 + columns % 2, 1, 1 + rows % 2)
        padded = functional.pad(images.permute(0, 2, 3, 1), sides)
        number, height, width, channels = padded.shape
        output = padded.new_empty(number, height - 2, width - 2, self.weight.shape[2])
        bytes_each = 4 * (height - 2) * (width - 2) * channels * padded.element_size()
        group = max(1, CACHED_BYTES // bytes_each)
        for part, out in zip(padded.split(group), output.split(group), strict=True):
            self._convolve(part, out)
        return output[:, :rows, :columns].permute(0, 3, 1, 2)

    def _convolve(self, padded: torch.Tensor, out: torch.Tensor) -> None:
        """Convolve padded (B, H + 2, W + 2, C) into out (B, H, W, O), H and W even."""
        number, rows, columns, channels = out.shape
        inputs = padded.shape[3]
        by_row = padded.new_empty(4, number, rows // 2, columns + 2, inputs)
        _sums_of_four(padded, 1, by_row)
        sums = padded.new_empty(4, 4, number, rows // 2, columns // 2, inputs)
        _sums_of_four(by_row, 3, sums)
        products = torch.bmm(sums.view(16, -1, inputs), self.weight)
        products = products.view(4, 4, number, rows // 2, columns // 2, channels)
        if self.bias is not None:  # this element contributes with weight 1 to all 2 x 2 pixels
            products[1, 1] += self.bias
        across = products.new_empty(2, *products.shape[1:])
        _sums_of_three(products, across)
        tiled = out.view(number, rows // 2, 2, columns // 2, 2, channels)
        for column in (0, 1):
            _sums_of_three(across[column], tiled[:, :, :, :, column].movedim(2, 0))


def _sums_of_four(values: torch.Tensor, axis: int, sums: torch.Tensor) -> None:
    """Input transform (B in the paper) of four neighbours at stride 2, into ``sums`` (4, …)."""
    first, second, third, fourth = values.unfold(axis, 4, 2).unbind(-1)
    torch.sub(first, third, out=sums[0])
    torch.add(second, third, out=sums[1])
    torch.sub(third, second, out=sums[2])
    torch.sub(second, fourth, out=sums[3])


def _sums_of_three(values: torch.Tensor, sums: torch.Tensor) -> None:
    """Output transform (A in the paper) of (4, …) into (2, …)."""
    torch.add(values[0], values[1], out=sums[0]).add_(values[2])
    torch.sub(values[1], values[2], out=sums[1]).sub_(values[3])
