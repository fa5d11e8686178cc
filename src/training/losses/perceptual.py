"""Distances of images in the features of VGG-19 (paper, section 4.4)."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from src.io.checkpoint import load_weights, read_checkpoint
from src.models.vgg import Vgg19

VGG_FILE = "vgg19-dcbb9e9d.pth"  # torchvision's name for the weights trained on ImageNet

_log = logging.getLogger(__name__)


def feature_distance(fake: list[torch.Tensor], real: list[torch.Tensor]) -> torch.Tensor:
    """Perceptual loss (Johnson et al. 2016): L1 of activations, summed over layers.

    Args:
        fake: activations (B, C, H, W) of each layer for generated images.
        real: the same for real images.
    """
    pairs = zip(fake, real, strict=True)
    return sum((one.float() - other.float()).abs().mean() for one, other in pairs)


def style_distance(fake: list[torch.Tensor], real: list[torch.Tensor]) -> torch.Tensor:
    """Style loss: L1 of Gram matrices, summed over layers; arguments as `feature_distance`."""
    return sum(
        (gram(one) - gram(other)).abs().mean() for one, other in zip(fake, real, strict=True)
    )


def gram(activations: torch.Tensor) -> torch.Tensor:
    """Gram matrices (B, C, C) of activations (B, C, H, W), divided by C H W (Johnson et al.)."""
    flat = activations.float().flatten(2)
    return flat @ flat.transpose(1, 2) / flat[0].numel()


def load_vgg(path: Path | None) -> Vgg19 | None:
    """Load VGG-19 with torchvision's weights, from a file or PyTorch's cache.

    If no file is given and the cache lacks them, log a warning that the losses are off.

    Raises:
        InputError: the file does not hold such weights.
    """
    if path is None:
        path = Path(torch.hub.get_dir()) / "checkpoints" / VGG_FILE
        if not path.is_file():
            _log.warning("no weights of VGG-19 (%s): perceptual and style loss are off", path)
            return None
    vgg = Vgg19()
    contents, _ = read_checkpoint(path)
    names = vgg.state_dict()
    load_weights(vgg, {key: value for key, value in contents.items() if key in names}, path)
    return vgg.eval().requires_grad_(False)
