"""Losses of the trainings: one module for each network.

Each module has a dataclass, which holds what the losses of a batch are computed from, and a dict
``LOSSES`` of functions of it. To add a loss, write such a function, add it to ``LOSSES`` and add a
field ``name_weight`` to the network's settings in ``src.training.settings``, which is its option.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from src.errors import InputError


def weighted_losses(
    losses: Mapping[str, Callable[[Any], torch.Tensor]], settings: Any, batch: Any
) -> dict[str, torch.Tensor]:
    """Each loss of a batch times its weight, ``settings.name_weight``, if that is not 0.

    Raises:
        InputError: all weights are 0.
    """
    weights = {name: getattr(settings, f"{name}_weight") for name in losses}
    if not any(weights.values()):
        raise InputError(f"no loss has a weight above 0: {', '.join(losses)}")
    return {name: weight * losses[name](batch) for name, weight in weights.items() if weight}
