"""Device selection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from src.errors import InputError

if TYPE_CHECKING:
    import torch


def pick_device(wanted: str) -> torch.device:
    """Select a device: ``auto`` is CUDA if available, else the CPU.

    Raises:
        InputError: ``cuda`` is requested and not available.
    """
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: this machine has no CUDA device that PyTorch can use")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")
