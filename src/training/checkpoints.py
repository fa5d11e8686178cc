"""Checkpoints of the trainings: written whole, read to resume from."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch

from src.errors import InputError
from src.io.checkpoint import read_checkpoint
from src.io.files import atomic_write
from src.models.config import stored_config
from src.training import parallel


def state_of(value: Any) -> Any:
    """State of a network, optimizer or random generator; a dataclass as a dict; else the value."""
    if isinstance(value, np.random.Generator):
        return value.bit_generator.state
    if isinstance(value, torch.Generator):
        return value.get_state()
    if dataclasses.is_dataclass(value):
        return dataclasses.asdict(value)
    return value.state_dict() if hasattr(value, "state_dict") else value


def random_state() -> dict[str, Any]:
    """States of PyTorch's global generators, which dropout draws from."""
    return {"torch": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}


def save_checkpoint(path: Path, **contents: Any) -> None:
    """Write the states of some objects; the file is whole whenever the process is killed."""
    for left_over in path.parent.glob(f".{path.name}.*"):  # by a process that was killed
        left_over.unlink(missing_ok=True)
    with atomic_write(path) as partial, partial.open("wb") as file:
        torch.save({name: state_of(value) for name, value in contents.items()}, file)


def load_checkpoint(path: Path, config: Any) -> dict[str, Any]:
    """Read the checkpoint of a training that is to be resumed.

    Args:
        path: of the checkpoint.
        config: dataclass of sizes of the network that is trained.

    Raises:
        InputError: the file is missing, not a checkpoint, or of a network of another config.
    """
    contents, stored = read_checkpoint(path)
    try:
        stored = dataclasses.asdict(stored_config(type(config), stored))
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: not a checkpoint of a training ({error})") from None
    different = [
        f"{key} is {stored.get(key)} there and {value} here"
        for key, value in dataclasses.asdict(config).items()
        if stored.get(key) != value
    ]
    if different:
        raise InputError(f"{path}: of another network: {', '.join(different)}")
    return contents


def restore(path: Path, contents: dict[str, Any]) -> tuple[int, float]:
    """Restore the objects that a checkpoint was written of, and PyTorch's global generators.

    Returns:
        Steps done, and the best score.

    Raises:
        InputError: as `load_checkpoint`, or something is not in it or does not fit.
    """
    state = load_checkpoint(path, contents["config"])
    try:
        for name, value in contents.items():
            if isinstance(value, np.random.Generator):
                value.bit_generator.state = state[name]
            elif isinstance(value, torch.Generator):
                value.set_state(state[name])
            elif hasattr(value, "load_state_dict"):
                value.load_state_dict(state[name])
        # Processes that the checkpoint does not know keep their seeds.
        for own in state["random"][parallel.rank() : parallel.rank() + 1]:
            torch.set_rng_state(own["torch"])
            torch.cuda.set_rng_state_all(own.get("cuda", []))
        return state["step"], state["best"]
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: not a checkpoint of this training ({reason})") from None
