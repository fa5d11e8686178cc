"""Inference version of the image-translation network: same output, fewer and cheaper operations."""

from __future__ import annotations

import copy
import itertools

import torch
from torch import nn
from torch.nn.utils import skip_init
from torch.nn.utils.fusion import fuse_conv_bn_eval

from src.models.image_translation import ResUnetGenerator
from src.models.winograd import WinogradConv

MANY_CHANNELS = 256
"""Channels from which Winograd convolution is faster on a CPU, by a quarter to a third.

With 128 channels it is as fast, with 64 a third slower (Zen 4, float32 and bfloat16 alike).
"""


def fuse_upsampling(conv: nn.Conv2d) -> nn.ConvTranspose2d:
    """Fuse nearest-neighbour upsampling by 2 and a 3 x 3 convolution.

    Only four of the nine pixels under the kernel differ, so the two equal a transposed 4 x 4
    convolution of stride 2 on the small input, with 4 / 9 of the multiplications.

    Args:
        conv: of stride 1 and padding 1.
    """
    spread = conv.weight.detach().flip(2, 3).transpose(0, 1)
    weight = spread.new_zeros(*spread.shape[:2], 4, 4)
    for row, column in itertools.product((0, 1), repeat=2):
        weight[:, :, row : row + 3, column : column + 3] += spread
    fused = skip_init(
        nn.ConvTranspose2d, *weight.shape[:2], 4, stride=2, padding=1, bias=conv.bias is not None
    )
    fused.weight = nn.Parameter(weight)
    if conv.bias is not None:
        fused.bias = nn.Parameter(conv.bias.detach().clone())
    return fused.requires_grad_(False)


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
                setattr(module, name, nn.Sequential(*_fused_layers(child)))
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
        _use_winograd(fast)
    return fast.to(device, dtype or quick_dtype(device), memory_format=torch.channels_last)


def quick_dtype(device: torch.device) -> torch.dtype:
    """Fastest precision of a device: 16 bits if it has instructions for them, else 32.

    bfloat16 is preferred to float16, which can overflow.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device.type == "cpu" and cpu_multiplies_bfloat16():
        return torch.bfloat16
    return torch.float32


def cpu_multiplies_bfloat16() -> bool:
    """Whether this CPU has bfloat16 multiplication instructions (AVX-512 BF16 or AMX).

    Without them PyTorch emulates such products, slower than in float32.
    """
    # PyTorch has no public function for it.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, bool)() for check in checks)


def _use_winograd(network: nn.Module) -> None:
    """Replace the convolutions of many channels by Winograd convolutions, in place."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if not isinstance(child, nn.Conv2d) or not WinogradConv.fits(child):
                continue
            if min(child.in_channels, child.out_channels) >= MANY_CHANNELS:
                setattr(module, name, WinogradConv(child))


def _fused_layers(layers: nn.Sequential) -> list[nn.Module]:
    """Fuse batch norms into the convolutions before them, then upsampling into those after it."""
    convolutions: list[nn.Module] = []
    for layer in layers:
        before = convolutions[-1] if convolutions else None
        if isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            convolutions[-1] = fuse_conv_bn_eval(before, layer)
        else:
            convolutions.append(layer)
    fused: list[nn.Module] = []
    for layer in convolutions:
        if isinstance(layer, nn.Conv2d) and fused and isinstance(fused[-1], nn.Upsample):
            fused[-1] = fuse_upsampling(layer)
        else:
            fused.append(layer)
    return fused
