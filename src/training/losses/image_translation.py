"""Losses of image translation and of its discriminators.

The paper's (section 4.4) are L1, and activations and Gram matrices of VGG-19. Ours add weight to
mouth and eyes, and two discriminators, of the whole face and of the mouth alone, which keep teeth
and lips sharp where an L1 alone blurs what it cannot predict.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import affine_grid, grid_sample, relu

from src.face.topology import LEFT_EYE, LIPS, RIGHT_EYE
from src.io.checkpoint import load_weights, read_checkpoint
from src.models.vgg import Vgg19

VGG_FILE = "vgg19-dcbb9e9d.pth"  # torchvision's name for the weights trained on ImageNet
MARGIN = 0.3  # of a region's size, added around it
MOUTH_SIZE = 64  # side, in pixels, of the mouth discriminator's input

_log = logging.getLogger(__name__)

Critique = tuple[torch.Tensor, list[torch.Tensor]]
"""Patch scores and the features of each layer, from one discriminator."""


@dataclass(frozen=True)
class TranslationBatch:
    """Frames, all (B, ., H, W) in 0-1, and the networks that losses compare them with."""

    predicted: torch.Tensor  # (B, 3, H, W)
    alpha: torch.Tensor | None  # (B, 1, H, W) of a refinement network's residual
    truth: torch.Tensor  # (B, 3, H, W)
    landmark_images: torch.Tensor  # (B, 3, H, W)
    landmarks: torch.Tensor  # (B, 68, 2) of the target in pixels
    mouth_weight: float = 0.0  # of the mouth's L1, next to 1
    eye_weight: float = 0.0
    bfloat16: bool = False  # compute in it
    vgg: Vgg19 | None = None
    discriminators: nn.ModuleDict | None = None  # "face" and "mouth"

    @functools.cached_property
    def mouth(self) -> torch.Tensor:
        """(B, 1, H, W) soft mask."""
        return region_mask(self.landmarks, LIPS, self.truth.shape[-1])

    @functools.cached_property
    def eyes(self) -> torch.Tensor:
        """(B, 1, H, W) soft mask."""
        size = self.truth.shape[-1]
        right = region_mask(self.landmarks, RIGHT_EYE, size)
        return right + region_mask(self.landmarks, LEFT_EYE, size)

    @functools.cached_property
    def activations(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """VGG's activations for the predicted frames and the ground truth."""
        with torch.autocast(self.truth.device.type, torch.bfloat16, enabled=self.bfloat16):
            fake = self.vgg(self.predicted)
            with torch.no_grad():
                return fake, self.vgg(self.truth)

    @functools.cached_property
    def critiques(self) -> tuple[list[Critique], list[Critique]]:
        """The discriminators' outputs for the predicted frames and the ground truth."""
        with torch.no_grad():
            real = self.discriminate(self.truth)
        return self.discriminate(self.predicted), real

    def discriminate(self, frames: torch.Tensor) -> list[Critique]:
        """Outputs of all discriminators for frames (B, 3, H, W) with the batch's landmarks."""
        images = torch.cat([frames, self.landmark_images], 1)
        inputs = {"face": images}
        if "mouth" in self.discriminators:
            inputs["mouth"] = crop_mouths(images, self.landmarks)
        with torch.autocast(frames.device.type, torch.bfloat16, enabled=self.bfloat16):
            return [network(inputs[name]) for name, network in self.discriminators.items()]


def l1(batch: TranslationBatch) -> torch.Tensor:
    """Mean absolute error of pixels, mouth and eyes weighted up; the weights' mean is 1."""
    weights = 1 + batch.mouth_weight * batch.mouth + batch.eye_weight * batch.eyes
    weights = weights / weights.mean()
    return (weights * (batch.predicted - batch.truth).abs()).mean()


def alpha(batch: TranslationBatch) -> torch.Tensor:
    """Mean alpha outside mouth and eyes, where the warped portrait is to stay as it is."""
    elsewhere = (1 - batch.mouth - batch.eyes).clamp(min=0)
    return (elsewhere * batch.alpha).mean()


def perceptual(batch: TranslationBatch) -> torch.Tensor:
    """Perceptual loss (Johnson et al. 2016): distance of VGG's activations."""
    return feature_distance(*batch.activations)


def style(batch: TranslationBatch) -> torch.Tensor:
    """Distance of the Gram matrices of VGG's activations (Johnson et al. 2016)."""
    fake, real = batch.activations
    return feature_distance([gram(layer) for layer in fake], [gram(layer) for layer in real])


def adversarial(batch: TranslationBatch) -> torch.Tensor:
    """Generator's part of a hinge GAN (Lim and Ye 2017): minus the mean scores."""
    return -sum(scores.float().mean() for scores, _ in batch.critiques[0])


def matching(batch: TranslationBatch) -> torch.Tensor:
    """Feature matching (Wang et al. 2018): L1 of the discriminators' features, mean over layers."""
    return sum(
        feature_distance(fake, real) / len(fake)
        for (_, fake), (_, real) in zip(*batch.critiques, strict=True)
    )


LOSSES = {
    "l1": l1,
    "alpha": alpha,
    "perceptual": perceptual,
    "style": style,
    "adversarial": adversarial,
    "matching": matching,
}


def discriminator_losses(batch: TranslationBatch) -> dict[str, torch.Tensor]:
    """Hinge loss (Lim and Ye 2017) of each discriminator; no gradient for the generator."""
    real, fake = batch.discriminate(batch.truth), batch.discriminate(batch.predicted.detach())
    return {
        f"discriminator_{name}": relu(1 - real_scores.float()).mean()
        + relu(1 + fake_scores.float()).mean()
        for name, (real_scores, _), (fake_scores, _) in zip(
            batch.discriminators, real, fake, strict=True
        )
    }


def feature_distance(fake: list[torch.Tensor], real: list[torch.Tensor]) -> torch.Tensor:
    """L1 of the features of each layer, summed over layers."""
    pairs = zip(fake, real, strict=True)
    return sum((one.float() - other.float()).abs().mean() for one, other in pairs)


def gram(activations: torch.Tensor) -> torch.Tensor:
    """Gram matrices (B, C, C) of activations (B, C, H, W), divided by C H W."""
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


def region(landmarks: torch.Tensor, points: slice) -> tuple[torch.Tensor, torch.Tensor]:
    """Centre (B, 2) and half size (B, 2), in pixels, of some points with a ``MARGIN``."""
    chosen = landmarks[:, points]
    low, high = chosen.amin(1), chosen.amax(1)
    half = (high - low).amax(1, keepdim=True) / 2
    # The height follows from the width: a closed mouth or eye is flat, but can open.
    return (low + high) / 2, half * (1 + MARGIN) * torch.tensor([1.0, 0.75], device=half.device)


def region_mask(landmarks: torch.Tensor, points: slice, size: int) -> torch.Tensor:
    """Soft mask (B, 1, size, size) of the region of some points: 1 inside, 0.5 at its border."""
    centre, half = region(landmarks, points)
    pixels = torch.arange(size, device=landmarks.device, dtype=torch.float32)
    distance = (pixels[None, None] - centre[:, :, None]).abs() / half[:, :, None]  # (B, 2, size)
    inside = torch.sigmoid(12 * (1 - distance))
    return (inside[:, 1, :, None] * inside[:, 0, None, :])[:, None]


def crop_mouths(images: torch.Tensor, landmarks: torch.Tensor) -> torch.Tensor:
    """The mouths of images (B, C, H, W), scaled to (B, C, MOUTH_SIZE, MOUTH_SIZE)."""
    centre, half = region(landmarks, LIPS)
    size = images.shape[-1]
    theta = torch.zeros(len(images), 2, 3, device=images.device)
    theta[:, 0, 0] = theta[:, 1, 1] = 2 * half.amax(1) / size
    theta[:, :, 2] = (2 * centre + 1) / size - 1
    shape = (*images.shape[:2], MOUTH_SIZE, MOUTH_SIZE)
    grid = affine_grid(theta, shape, align_corners=False)
    return grid_sample(images, grid, padding_mode="border", align_corners=False, mode="bilinear")
