"""Losses of image translation: the paper's, and two judges of what an L1 can only blur.

The loss of the paper: L1, activations of VGG-19 (perceptual) and their Gram matrices (style). Ours
can add weight to mouth and eyes, and two judges: of the whole face and of the mouth alone, which
keep teeth and lips from being blurred, as an L1 alone does with what it cannot know.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from src.face.topology import LEFT_EYE, LIPS, RIGHT_EYE
from src.models.image_translation import generated_frame, refinement
from src.models.vgg import Vgg19
from src.training.perceptual import compared

ROOM = 0.3  # of a region's size, that is weighed and judged round it
MOUTH_SIZE = 64  # pixels of the mouth's judge


@dataclass(frozen=True)
class Weights:
    """Of the losses, and whether the networks compute in bfloat16."""

    l1_weight: float
    perceptual_weight: float
    style_weight: float
    adversarial_weight: float
    matching_weight: float  # of the judges' own activations
    share_weight: float  # on how much a mending network replaces apart from mouth and eyes
    mouth_weight: float  # of the mouth's L1, besides 1
    eye_weight: float
    bfloat16: bool


@dataclass(frozen=True)
class Made:
    """What a network makes of a batch, all (B, ., H, W) in 0-1."""

    frame: torch.Tensor
    share: torch.Tensor | None  # that is not the warped portrait's


def as_planes(pictures: torch.Tensor) -> torch.Tensor:
    """uint8 (B, H, W, 3) to float32 (B, 3, H, W) in 0-1."""
    return pictures.permute(0, 3, 1, 2).float() / 255


def make(
    network: nn.Module,
    lines: torch.Tensor,
    portrait: torch.Tensor,
    warped: torch.Tensor,
    bfloat16: bool = False,
) -> Made:
    """The frames of a batch (B, 3, H, W in 0-1 each), by a painting or a mending network."""
    seen = [lines, portrait, warped] if network.config.mends else [lines, portrait]
    pictures = torch.cat(seen, 1).contiguous(memory_format=torch.channels_last)
    with torch.autocast(pictures.device.type, torch.bfloat16, enabled=bfloat16):
        output = network(pictures)
    output = output.float()
    if not network.config.mends:
        return Made(generated_frame(output), None)
    colours, share = refinement(output, warped)
    return Made(warped + share * (colours - warped), share)


def region(landmarks: torch.Tensor, points: slice) -> tuple[torch.Tensor, torch.Tensor]:
    """Centre (B, 2) and half size (B, 2) in pixels of some points, with `ROOM` round them."""
    chosen = landmarks[:, points]
    least, most = chosen.amin(1), chosen.amax(1)
    half = (most - least).amax(1, keepdim=True) / 2
    # A shut mouth or eye is flat; what may open there counts.
    return (least + most) / 2, half * (1 + ROOM) * torch.tensor([1.0, 0.75], device=half.device)


def region_mask(landmarks: torch.Tensor, points: slice, size: int) -> torch.Tensor:
    """1 in the region of some points, falling off softly: (B, 1, size, size)."""
    centre, half = region(landmarks, points)
    pixels = torch.arange(size, device=landmarks.device, dtype=torch.float32)
    apart = (pixels[None, None] - centre[:, :, None]).abs() / half[:, :, None]  # (B, 2, size)
    inside = torch.sigmoid(12 * (1 - apart))
    return (inside[:, 1, :, None] * inside[:, 0, None, :])[:, None]


def mouths(pictures: torch.Tensor, landmarks: torch.Tensor) -> torch.Tensor:
    """The mouths of pictures (B, C, H, W), enlarged to (B, C, MOUTH_SIZE, MOUTH_SIZE)."""
    centre, half = region(landmarks, LIPS)
    size = pictures.shape[-1]
    half = half.amax(1)
    theta = torch.zeros(len(pictures), 2, 3, device=pictures.device)
    theta[:, 0, 0] = theta[:, 1, 1] = 2 * half / size
    theta[:, :, 2] = (2 * centre + 1) / size - 1
    shape = (len(pictures), pictures.shape[1], MOUTH_SIZE, MOUTH_SIZE)
    grid = functional.affine_grid(theta, shape, align_corners=False)
    return functional.grid_sample(
        pictures, grid, padding_mode="border", align_corners=False, mode="bilinear"
    )


def judged(
    judges: nn.ModuleDict,
    frames: torch.Tensor,
    lines: torch.Tensor,
    landmarks: torch.Tensor,
    bfloat16: bool = False,
) -> list[tuple[torch.Tensor, list[torch.Tensor]]]:
    """What the judges of face and mouth say of frames, and what their layers saw."""
    pictures = torch.cat([frames, lines], 1)
    parts = {name: mouths(pictures, landmarks) if name == "mouth" else pictures for name in judges}
    with torch.autocast(frames.device.type, torch.bfloat16, enabled=bfloat16):
        return [judge(parts[name]) for name, judge in judges.items()]


def generator_losses(
    made: Made,
    true: torch.Tensor,
    lines: torch.Tensor,
    landmarks: torch.Tensor,
    weights: Weights,
    vgg: Vgg19 | None = None,
    judges: nn.ModuleDict | None = None,
) -> dict[str, torch.Tensor]:
    """Losses of a generator's batch by name.

    Args:
        true: target pictures (B, 3, H, W) in 0-1.
        lines: drawn landmarks, likewise.
        landmarks: (B, 68, 2) of the target in pixels.
    """
    size = true.shape[-1]
    mouth = region_mask(landmarks, LIPS, size)
    eyes = region_mask(landmarks, RIGHT_EYE, size) + region_mask(landmarks, LEFT_EYE, size)
    places = 1 + weights.mouth_weight * mouth + weights.eye_weight * eyes
    places = places / places.mean()
    parts = {"l1": weights.l1_weight * (places * (made.frame - true).abs()).mean()}
    if made.share is not None and weights.share_weight:
        elsewhere = (1 - mouth - eyes).clamp(min=0)
        parts["share"] = weights.share_weight * (elsewhere * made.share).mean()
    if vgg is not None:
        perceptual, style = compared(vgg, made.frame, true, weights.bfloat16)
        parts["perceptual"] = weights.perceptual_weight * perceptual
        parts["style"] = weights.style_weight * style
    if judges is not None:
        with torch.no_grad():
            known = judged(judges, true, lines, landmarks, weights.bfloat16)
        parts["adversarial"] = parts["matching"] = torch.zeros((), device=true.device)
        for (verdict, seen), (_, wanted) in zip(
            judged(judges, made.frame, lines, landmarks, weights.bfloat16), known, strict=True
        ):
            parts["adversarial"] = (
                parts["adversarial"] - weights.adversarial_weight * verdict.float().mean()
            )
            for one, other in zip(seen, wanted, strict=True):
                apart = (one.float() - other.float()).abs().mean()
                parts["matching"] = parts["matching"] + weights.matching_weight * apart / len(seen)
    return parts


def judge_losses(
    judges: nn.ModuleDict,
    made: torch.Tensor,
    true: torch.Tensor,
    lines: torch.Tensor,
    landmarks: torch.Tensor,
    bfloat16: bool = False,
) -> dict[str, torch.Tensor]:
    """Hinge losses of the judges of face and mouth (Lim and Ye 2017)."""
    both = zip(
        judges,
        judged(judges, true, lines, landmarks, bfloat16),
        judged(judges, made, lines, landmarks, bfloat16),
        strict=True,
    )
    return {
        f"judge_{name}": functional.relu(1 - good.float()).mean()
        + functional.relu(1 + bad.float()).mean()
        for name, (good, _), (bad, _) in both
    }
