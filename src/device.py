"""Device selection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.errors import InputError
from src.options import option

if TYPE_CHECKING:
    import torch


DEVICES = ("auto", "cuda", "cpu")


@dataclass(frozen=True, kw_only=True)
class DeviceSettings:
    """Device of the networks."""

    device: str = option("auto", "cuda where there is one, else cpu", choices=DEVICES)


def pick_device(wanted: str) -> torch.device:
    """``auto`` is CUDA where there is one, else the CPU; ``cuda`` insists.

    Raises:
        InputError: CUDA is insisted on and absent.
    """
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: this machine has no CUDA device that PyTorch can use")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")
