"""Losses of AutoVC (Qian et al. 2019): reconstruction of the log-mel and of the code."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from src.models.autovc import AutoVC


@dataclass(frozen=True)
class VoiceConversionBatch:
    """B crops of T frames that AutoVC reconstructed."""

    generator: AutoVC
    mel: torch.Tensor  # (B, T, 80) ground truth
    embedding: torch.Tensor  # (B, 256) of the speakers
    first: torch.Tensor  # (B, T, 80) predicted before the post-net
    refined: torch.Tensor  # (B, T, 80) predicted after the post-net
    code: torch.Tensor  # of the encoder's input


def first(batch: VoiceConversionBatch) -> torch.Tensor:
    """Mean squared error before the post-net."""
    return functional.mse_loss(batch.first, batch.mel)


def refined(batch: VoiceConversionBatch) -> torch.Tensor:
    """Mean squared error after the post-net."""
    return functional.mse_loss(batch.refined, batch.mel)


def code(batch: VoiceConversionBatch) -> torch.Tensor:
    """L1 between the code of the input and the code of the prediction."""
    return functional.l1_loss(batch.generator(batch.refined, batch.embedding), batch.code)


LOSSES = {"first": first, "refined": refined, "code": code}
