"""Perceptual and style loss: what VGG-19 sees in pictures (paper, section 4.4)."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from src.io.checkpoint import load_weights, read_checkpoint
from src.models.vgg import Vgg19

VGG_FILE = "vgg19-dcbb9e9d.pth"  # torchvision's name for the weights trained on ImageNet

_log = logging.getLogger(__name__)


def gram(activations: torch.Tensor) -> torch.Tensor:
    """How activations (B, C, H, W) go together: (B, C, C), divided by C H W (Johnson 2016)."""
    flat = activations.float().flatten(2)
    return flat @ flat.transpose(1, 2) / flat[0].numel()


def compared(
    vgg: Vgg19, made: torch.Tensor, true: torch.Tensor, bfloat16: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Perceptual and style loss of pictures (B, 3, H, W) in 0-1."""
    with torch.autocast(made.device.type, torch.bfloat16, enabled=bfloat16):
        seen_made = vgg(made)
        with torch.no_grad():
            seen_true = vgg(true)
    perceptual = style = torch.zeros((), device=made.device)
    for one, other in zip(seen_made, seen_true, strict=True):
        perceptual = perceptual + (one.float() - other.float()).abs().mean()
        style = style + (gram(one) - gram(other)).abs().mean()
    return perceptual, style


def find_vgg(path: Path | None) -> Vgg19 | None:
    """VGG-19 with torchvision's weights: from a file, PyTorch's cache, or through torchvision.

    Where they cannot be had, a line says that the terms are off.

    Raises:
        InputError: the given file is none of it.
    """
    if path is None:
        path = Path(torch.hub.get_dir()) / "checkpoints" / VGG_FILE
        if not path.is_file():
            try:
                from torchvision.models import VGG19_Weights

                VGG19_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
            except (ImportError, OSError, RuntimeError) as error:
                reason = str(error).splitlines()[0]
                _log.warning(
                    "no weights of VGG-19 (%s; %s is not there): the perceptual and the style loss "
                    "are off",
                    reason,
                    path,
                )
                return None
    vgg = Vgg19()
    contents, _ = read_checkpoint(path)
    wanted = vgg.state_dict()
    load_weights(vgg, {key: value for key, value in contents.items() if key in wanted}, path)
    return vgg
