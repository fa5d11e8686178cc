"""The image-translation network made quick: the same numbers from fewer and cheaper operations."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from src.networks.image_translation import ResUnetGenerator

# An output pixel 2i sees input i - 1 once and i twice, an output pixel 2i + 1 sees i twice and
# i + 1 once: which of the three weights along an axis fall on which of two neighbours, by parity.
_SHARED = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])


class EnlargingConv(nn.Module):
    """Nearest-neighbour enlargement to twice the size and a 3 x 3 convolution, in one.

    Of the nine pixels that the convolution sees, only four differ. So each of the four output
    pixels of an input pixel is a 2 x 2 convolution of the small picture with weights summed
    beforehand: 4 / 9 of the multiplications, and the large input is never made.

    Args:
        conv: of stride 1 and padding 1.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.outputs = conv.out_channels
        shared = _SHARED.to(conv.weight)
        # (row parity, column parity, out, in, 2, 2) as one convolution of four times the outputs.
        weight = torch.einsum("aky,blx,oiyx->aboikl", shared, shared, conv.weight.detach())
        self.weight = nn.Parameter(weight.flatten(0, 2).contiguous(), requires_grad=False)
        bias = None if conv.bias is None else conv.bias.detach().repeat(4)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, outputs, 2 H, 2 W), channels last."""
        count, _, height, width = picture.shape
        parts = functional.conv2d(picture, self.weight, self.bias, padding=1)
        parts = parts.permute(0, 2, 3, 1)
        whole = parts.new_empty(count, height, 2, width, 2, self.outputs)
        for row in (0, 1):
            for column in (0, 1):
                first = (2 * row + column) * self.outputs
                whole[:, :, row, :, column] = parts[
                    :, row : row + height, column : column + width, first : first + self.outputs
                ]
        return whole.view(count, 2 * height, 2 * width, self.outputs).permute(0, 3, 1, 2)


def folded(network: ResUnetGenerator) -> ResUnetGenerator:
    """A copy without batch norms and enlargements, both taken into the convolutions beside them.

    Args:
        network: in eval mode; stays as it is.

    Returns:
        A network of the same class, whose numbers are the same up to rounding. Its state dict is
        not one that `ResUnetGenerator` loads.
    """
    network = copy.deepcopy(network).requires_grad_(False)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Sequential):
                setattr(module, name, nn.Sequential(*_folded_layers(child)))
    return network


def for_inference(network: ResUnetGenerator, device: torch.device | str) -> ResUnetGenerator:
    """A network folded, with channels last, in the numbers that the device is quickest with.

    Args:
        network: in eval mode; stays as it is.
        device: where the result will be.
    """
    dtype = quick_dtype(torch.device(device))
    return folded(network).to(device, dtype, memory_format=torch.channels_last)


def quick_dtype(device: torch.device) -> torch.dtype:
    """What a device multiplies fastest: 16 bits where it has instructions for them, else 32.

    bfloat16 rather than float16 wherever there is the choice: it cannot overflow.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device.type == "cpu" and cpu_multiplies_bfloat16():
        return torch.bfloat16
    return torch.float32


def cpu_multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for products of bfloat16 (AVX-512 BF16 or AMX).

    Without them PyTorch emulates such products, slower than float32 ones.
    """
    # PyTorch has no public name for it.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, bool)() for check in checks)


def _folded_layers(layers: nn.Sequential) -> list[nn.Module]:
    kept: list[nn.Module] = []
    for layer in layers:
        before = kept[-1] if kept else None
        if isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            kept[-1] = fuse_conv_bn_eval(before, layer)
        else:
            kept.append(layer)
    whole: list[nn.Module] = []
    for layer in kept:
        before = whole[-1] if whole else None
        if isinstance(layer, nn.Conv2d) and isinstance(before, nn.Upsample):
            whole[-1] = EnlargingConv(layer)
        else:
            whole.append(layer)
    return whole
