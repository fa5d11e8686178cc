"""Device selection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from src.errors import InputError

if TYPE_CHECKING:
    import torch


def pick_device(wanted: str) -> torch.device:
    """``auto`` is CUDA where there is one, else the CPU; ``cuda`` insists.

    Raises:
        InputError: CUDA is insisted on and absent.
    """
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: this machine has no CUDA device that PyTorch can use")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")
