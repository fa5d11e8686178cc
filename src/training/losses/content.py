"""Losses of the content branch (paper, section 4.1, and the published release)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from src.face.geometry import central_lip_gap
from src.face.topology import LANDMARK_COUNT, LIPS
from src.training.losses.landmarks import laplacian

LIP_SLOPE, LIP_FLOOR = 4.0, 0.1  # lips with a gap g have the weight 1 / (LIP_SLOPE * g + LIP_FLOOR)
LIP_STD = 0.03  # std of the lips of a talking face, normalised units
MIN_GAP_STD = 0.003  # std of the lip gap of a mouth that hardly moves, normalised units


@dataclass(frozen=True)
class ContentBatch:
    """Displacements of N frames, which are R runs of L consecutive frames of a clip."""

    predicted: torch.Tensor  # (N, 204)
    truth: torch.Tensor  # (N, 204)
    face: torch.Tensor  # (N, 204) static faces
    predicted_runs: torch.Tensor  # (R, L, 204), a view of ``predicted``
    truth_runs: torch.Tensor  # (R, L, 204)


def l1(batch: ContentBatch) -> torch.Tensor:
    """Mean absolute difference, each coordinate by the weight of `lip_weights`."""
    weights = lip_weights(batch.face + batch.truth)
    return ((batch.predicted - batch.truth).abs() * weights).mean()


def square(batch: ContentBatch) -> torch.Tensor:
    """Mean squared difference of the lips, in units of ``LIP_STD``; not in the paper.

    Where speech does not determine the lips, the weighted L1 is lowest for a closed mouth, which is
    most frequent. The squared error is lowest for the mean, and gets a network off that plateau.
    """
    difference = (batch.predicted - batch.truth).unflatten(-1, (LANDMARK_COUNT, 3))[..., LIPS, :]
    return (difference / LIP_STD).square().mean()


def motion(batch: ContentBatch) -> torch.Tensor:
    """L1 of the differences of consecutive frames; not in the paper."""
    return (batch.predicted_runs.diff(dim=1) - batch.truth_runs.diff(dim=1)).abs().mean()


def correlation(batch: ContentBatch) -> torch.Tensor:
    """Mean of 1 - Pearson correlation of the lip gap over runs; not in the paper.

    It depends on when a mouth opens, not on how far, which differs from person to person. The
    weight of a run is the std of the ground truth's gap, at most ``LIP_STD``: for a mouth at rest
    the correlation is meaningless.
    """
    predicted, truth = centred_gap(batch.predicted_runs), centred_gap(batch.truth_runs)
    predicted_square, truth_square = predicted.square().mean(-1), truth.square().mean(-1)
    norm = ((predicted_square + MIN_GAP_STD**2) * (truth_square + MIN_GAP_STD**2)).sqrt()
    weight = (truth_square.sqrt() / LIP_STD).clamp_max(1.0)
    return (weight * (1.0 - (predicted * truth).mean(-1) / norm)).mean()


LOSSES = {
    "l1": l1,
    "square": square,
    "laplacian": laplacian,
    "motion": motion,
    "correlation": correlation,
}


def lip_weights(truth: torch.Tensor) -> torch.Tensor:
    """Weight of each coordinate of ground-truth landmarks (N, 204), normalised units: (N, 204).

    Lips weigh the more the closer they are, so that closures are learned although they are rare.
    """
    lip_gap = central_lip_gap(truth.unflatten(-1, (LANDMARK_COUNT, 3)))
    weight = 1.0 / (LIP_SLOPE * lip_gap.abs() + LIP_FLOOR)
    weights = torch.ones(*truth.shape[:-1], LANDMARK_COUNT, 3, device=truth.device)
    weights[..., LIPS, :] = weight[..., None, None]
    return weights.flatten(-2)


def centred_gap(landmarks: torch.Tensor) -> torch.Tensor:
    """Gap of the inner lips minus its mean over the run: (R, L, 204) -> (R, L)."""
    gap = central_lip_gap(landmarks.unflatten(-1, (LANDMARK_COUNT, 3)))
    return gap - gap.mean(-1, keepdim=True)
