"""Losses of the landmark networks (paper, sections 4.1 and 4.2, and the published release)."""

from __future__ import annotations

import torch

from src.face.geometry import central_lip_gap
from src.face.topology import LANDMARK_COUNT, LIPS, curve_neighbours

LIP_SLOPE, LIP_FLOOR = 4.0, 0.1  # a mouth open by g weighs 1 / (LIP_SLOPE * g + LIP_FLOOR)
LIP_SCALE = 0.03  # deviation of the lips of a talking face, normalised units
STILL_GAP = 0.003  # deviation of the gap of a mouth that as good as rests, normalised units


def lip_weights(true: torch.Tensor) -> torch.Tensor:
    """Weight of each coordinate of true landmarks (N, 204), normalised units: (N, 204).

    Lips count by how shut they are, so that closures are learned although they are rare.
    """
    gap = central_lip_gap(true.unflatten(-1, (LANDMARK_COUNT, 3)))
    weight = 1.0 / (LIP_SLOPE * gap.abs() + LIP_FLOOR)
    weights = torch.ones(*true.shape[:-1], LANDMARK_COUNT, 3, device=true.device)
    weights[..., LIPS, :] = weight[..., None, None]
    return weights.flatten(-2)


def weighted_l1(made: torch.Tensor, true: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference, each coordinate by its weight."""
    return ((made - true).abs() * weights).mean()


def lip_square(made: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Mean square difference of the lips of (N, 204) displacements, in units of ``LIP_SCALE``.

    Under doubt the weighted L1 is best off with a shut mouth, most frames being so; the square
    loss wants the mean, and gets a network off that plateau.
    """
    difference = (made - true).unflatten(-1, (LANDMARK_COUNT, 3))[..., LIPS, :]
    return (difference / LIP_SCALE).square().mean()


def gap_correlation(made: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Mean of 1 - correlation of the lip gap over runs of displacements (R, L, 204).

    It asks when a mouth opens, not how far: people open theirs differently wide, which no voice
    tells. A run counts by how much its true gap moves, up to ``LIP_SCALE``; a mouth at rest has
    no correlation to speak of.
    """
    made_off, true_off = _gap_off_mean(made), _gap_off_mean(true)
    made_square, true_square = made_off.square().mean(-1), true_off.square().mean(-1)
    norm = ((made_square + STILL_GAP**2) * (true_square + STILL_GAP**2)).sqrt()
    weight = (true_square.sqrt() / LIP_SCALE).clamp_max(1.0)
    return (weight * (1.0 - (made_off * true_off).mean(-1) / norm)).mean()


def _gap_off_mean(landmarks: torch.Tensor) -> torch.Tensor:
    """Gap of the inner lips less its mean over the run: (R, L, 204) -> (R, L)."""
    gap = central_lip_gap(landmarks.unflatten(-1, (LANDMARK_COUNT, 3)))
    return gap - gap.mean(-1, keepdim=True)


def laplacian(landmarks: torch.Tensor) -> torch.Tensor:
    """Each point minus the mean of its two neighbours on its curve: (..., 204) -> (..., 68, 3)."""
    points = landmarks.unflatten(-1, (LANDMARK_COUNT, 3))
    neighbours = torch.tensor(curve_neighbours(), device=landmarks.device)
    return points - points[..., neighbours, :].mean(-2)


def laplacian_l1(made: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of the graph Laplacians of (..., 204) landmarks."""
    return (laplacian(made) - laplacian(true)).abs().mean()
