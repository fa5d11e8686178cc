"""Checkpoints of the trainings: written whole, read to resume or to start from."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch

from src.errors import InputError
from src.io.files import atomic_write
from src.models.config import stored_config
from src.models.loading import stored_statistics


def save_checkpoint(path: Path, **contents: Any) -> None:
    """Write tensors, plain values and dataclasses of them (as dicts).

    The file is whole whenever the process is killed.
    """
    stored = {
        name: dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value
        for name, value in contents.items()
    }
    for left_over in path.parent.glob(f".{path.name}.*"):  # by a process that was killed
        left_over.unlink(missing_ok=True)
    with atomic_write(path) as partial, partial.open("wb") as file:
        torch.save(stored, file)


def load_checkpoint(path: Path, config: Any) -> dict[str, Any]:
    """Read the checkpoint of a training that is to be resumed.

    Args:
        config: dataclass of sizes of the network that is trained.

    Raises:
        InputError: the file is missing, not a checkpoint, or of a network of another config.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint to resume from")
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
        stored = dataclasses.asdict(stored_config(type(config), contents.get("config", {})))
    except Exception as error:  # damaged bytes can raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not a checkpoint of a training ({reason})") from None

    different = [
        f"{key} is {stored.get(key)} there and {value} here"
        for key, value in dataclasses.asdict(config).items()
        if stored.get(key) != value
    ]
    if different:
        raise InputError(f"{path}: of another network: {', '.join(different)}")
    return contents


def resumed_statistics(path: Path, config: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and std (80,) of the features in the checkpoint of a training to be resumed.

    Raises:
        InputError: as `load_checkpoint`, or they are not in it.
    """
    return stored_statistics(load_checkpoint(path, config), path)
