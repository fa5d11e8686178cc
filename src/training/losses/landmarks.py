"""The loss of the graph Laplacian (paper, section 4.1), which both landmark networks share."""

from __future__ import annotations

from typing import Any

import torch

from src.face.topology import LANDMARK_COUNT, curve_neighbours


def laplacian(batch: Any) -> torch.Tensor:
    """L1 of the graph Laplacians of ``batch.predicted`` and ``batch.truth``, (..., 204) each."""
    return (graph_laplacian(batch.predicted) - graph_laplacian(batch.truth)).abs().mean()


def graph_laplacian(landmarks: torch.Tensor) -> torch.Tensor:
    """Each point minus the mean of its two neighbours on its curve: (..., 204) -> (..., 68, 3)."""
    points = landmarks.unflatten(-1, (LANDMARK_COUNT, 3))
    neighbours = torch.tensor(curve_neighbours(), device=landmarks.device)
    return points - points[..., neighbours, :].mean(-2)
