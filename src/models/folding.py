"""Inference version of the image-translation network: same output, fewer and cheaper operations."""

from __future__ import annotations

import copy
import itertools

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from src.models.image_translation import ResUnetGenerator
from src.models.winograd import WinogradConv

MANY_CHANNELS = 256
"""Channels from which Winograd convolution is faster on a CPU (by 25 to 33 % on Zen 4; with 128 it
is as fast, with 64 a third slower)."""


def fuse_upsampling(conv: nn.Conv2d) -> nn.ConvTranspose2d:
    """Fuse nearest-neighbour upsampling by 2 and a 3 x 3 convolution of stride 1 and padding 1.

    Only four of the nine pixels under the kernel differ, so the two equal a transposed 4 x 4
    convolution of stride 2 on the small input, with 4 / 9 of the multiplications.
    """
    spread = conv.weight.flip(2, 3).transpose(0, 1)
    weight = spread.new_zeros(*spread.shape[:2], 4, 4)
    for row, column in itertools.product((0, 1), repeat=2):
        weight[:, :, row : row + 3, column : column + 3] += spread
    fused = nn.ConvTranspose2d(*weight.shape[:2], 4, stride=2, padding=1, device="meta")
    fused.weight, fused.bias = nn.Parameter(weight, requires_grad=False), conv.bias
    return fused


@torch.no_grad()
def fuse(network: ResUnetGenerator) -> ResUnetGenerator:
    """Copy a network with batch norms and upsampling fused into the adjacent convolutions.

    Args:
        network: in eval mode; it is not changed.

    Returns:
        A network of the same class with the same output up to rounding. `ResUnetGenerator` cannot
        load its state dict.
    """
    network = copy.deepcopy(network).requires_grad_(False)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Sequential):
                setattr(module, name, _fuse_layers(child))
    return network


def for_inference(
    network: ResUnetGenerator, device: torch.device | str, dtype: torch.dtype | None = None
) -> ResUnetGenerator:
    """Copy a network for inference: fused, channels last, in the device's fastest precision.

    Args:
        network: in eval mode; it is not changed.
        device: of the copy.
        dtype: of the copy; `quick_dtype` where None.
    """
    device = torch.device(device)
    fast = fuse(network)
    if device.type == "cpu":  # GPU libraries choose the algorithm themselves
        for module in list(fast.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.Conv2d) and _gains_by_winograd(child):
                    setattr(module, name, WinogradConv(child))
    return fast.to(device, dtype or quick_dtype(device), memory_format=torch.channels_last)


def quick_dtype(device: torch.device) -> torch.dtype:
    """Fastest precision of a device: 16 bits if it has instructions for them, else 32.

    bfloat16 is preferred to float16, which can overflow. A CPU without bfloat16 products (AVX-512
    BF16 or AMX) emulates them, slower than in float32.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device.type == "cpu":
        # PyTorch has no public function for it.
        checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        if any(getattr(torch.cpu, check, bool)() for check in checks):
            return torch.bfloat16
    return torch.float32


def _gains_by_winograd(conv: nn.Conv2d) -> bool:
    return conv.stride == (1, 1) and min(conv.in_channels, conv.out_channels) >= MANY_CHANNELS


def _fuse_layers(layers: nn.Sequential) -> nn.Sequential:
    """Fuse batch norms into the convolutions before them, and those into upsampling before them."""
    fused = list(layers)
    for index in reversed(range(1, len(fused))):
        before, layer = fused[index - 1 : index + 1]
        if isinstance(layer, nn.BatchNorm2d):
            fused[index - 1 : index + 1] = [fuse_conv_bn_eval(before, layer)]
        elif isinstance(before, nn.Upsample):
            fused[index - 1 : index + 1] = [fuse_upsampling(layer)]
    return nn.Sequential(*fused)
