"""What all trainings share: where a run keeps its files, and how it goes on after a stop."""

from __future__ import annotations

import logging
import math
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from src.errors import InputError
from src.training.dumps import replace_file

_log = logging.getLogger(__name__)


def checkpoint_folder(root: Path, name: str) -> Path:
    """``<root_dir>/ckpt/<name>``, as in the published release."""
    return root / "ckpt" / name


def save_run(path: Path, **contents: Any) -> None:
    """Write tensors and plain values, and the state of PyTorch's global generator."""
    contents["torch_random"] = torch.get_rng_state()
    replace_file(path, lambda file: torch.save(contents, file))


def load_run(path: Path) -> dict[str, Any]:
    """Read what ``save_run`` wrote and put PyTorch's global generator back.

    Raises:
        InputError: the file is missing or is not a run's checkpoint.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint to resume from")
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
        torch.set_rng_state(contents["torch_random"])
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not a checkpoint of a training ({reason})") from None
    return contents


def seed_everything(seed: int) -> None:
    """Seed every generator that a training draws from."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def cosine(step: int, steps: int, warm_up: int = 100, floor: float = 0.02) -> float:
    """Factor on the learning rate: linear warm-up, then half a cosine down to ``floor``."""
    if step < warm_up:
        return (step + 1) / warm_up
    share = min(1.0, (step - warm_up) / max(1, steps - warm_up))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * share))


def refuse_nan(loss: torch.Tensor, step: int, names: list[str]) -> None:
    """Stop a training whose loss is no number, naming the batch.

    Raises:
        InputError: the loss is NaN or infinite.
    """
    if not torch.isfinite(loss):
        raise InputError(f"step {step}: the loss is not a number; the batch was {', '.join(names)}")


def summary_writer(root: Path, name: str, write: bool):
    """TensorBoard writer in ``<root_dir>/log/<name>``, or None where nothing is to be written."""
    if not write:
        return None
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        _log.warning("tensorboardX is not installed: no TensorBoard log")
        return None
    return SummaryWriter(os.fspath(root / "log" / name))


def shares_of(pairs: list[str]) -> dict[str, float]:
    """``["rms=0.2"]`` as a dict; InputError where that is not what it says."""
    try:
        return {name: float(value) for name, value in (pair.split("=") for pair in pairs)}
    except ValueError:
        raise InputError(f"--share: expected prefix=part, not {' '.join(pairs)}") from None
