"""The graph Laplacian of landmarks, whose loss both landmark networks share."""

from __future__ import annotations

import torch

from src.face.topology import LANDMARK_COUNT, curve_neighbours


def laplacian(landmarks: torch.Tensor) -> torch.Tensor:
    """Each point minus the mean of its two neighbours on its curve: (..., 204) -> (..., 68, 3)."""
    points = landmarks.unflatten(-1, (LANDMARK_COUNT, 3))
    neighbours = torch.tensor(curve_neighbours(), device=landmarks.device)
    return points - points[..., neighbours, :].mean(-2)


def laplacian_l1(predicted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of the graph Laplacians of (..., 204) landmarks (section 4.1)."""
    return (laplacian(predicted) - laplacian(truth)).abs().mean()
