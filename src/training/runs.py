"""What all trainings share: where a run keeps its files, and how it goes on after a stop."""

from __future__ import annotations

import logging
import math
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from src.checkpoints import checkpoint_part, load_weights, read_checkpoint
from src.device import pick_device
from src.errors import InputError
from src.training.dumps import replace_file

LOG_EVERY = 20  # steps between entries in TensorBoard

_log = logging.getLogger(__name__)


def checkpoint_folder(root: Path, name: str) -> Path:
    """``<root_dir>/ckpt/<name>``, as in the published release."""
    return root / "ckpt" / name


def save_run(path: Path, **contents: Any) -> None:
    """Write tensors and plain values, and the state of PyTorch's global generator."""
    contents["torch_random"] = torch.get_rng_state()
    replace_file(path, lambda file: torch.save(contents, file))


def load_run(path: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Read what ``save_run`` wrote and put PyTorch's global generator back.

    Args:
        config: of the network that is to go on.

    Raises:
        InputError: the file is missing, is not a run's checkpoint, or is of another network.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint to resume from")
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
        torch.set_rng_state(contents["torch_random"])
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not a checkpoint of a training ({reason})") from None
    stored = contents.get("config", {})
    different = [
        f"{key} is {stored.get(key)} there and {config.get(key)} here"
        for key in sorted({*stored, *config})
        if _plain(stored.get(key)) != _plain(config.get(key))
    ]
    if different:
        raise InputError(f"{path}: of another network: {', '.join(different)}")
    return contents


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def load_network(
    kind: Callable[..., torch.nn.Module], part: str, path: Path
) -> tuple[torch.nn.Module, dict[str, Any]]:
    """The network that a checkpoint holds as ``part``, and all that the checkpoint holds.

    Raises:
        InputError: the file is no such checkpoint.
    """
    contents, config = read_checkpoint(path)
    weights = checkpoint_part(contents, part, path)
    try:
        network = kind(**config)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: its config makes no such network: {reason}") from None
    load_weights(network, weights, path)
    return network, contents


def stored_statistics(contents: dict[str, Any], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation (80,) of the features that a checkpoint was trained with.

    Raises:
        InputError: they are not in it.
    """
    both = [contents.get(name) for name in ("mel_mean", "mel_std")]
    if not all(isinstance(one, torch.Tensor) and one.shape == (80,) for one in both):
        raise InputError(f"{path}: no statistics (mel_mean, mel_std) of 80 numbers in it")
    mean, deviation = (one.float().numpy().copy() for one in both)
    return mean, deviation


def begin(device: str, threads: int, seed: int) -> torch.device:
    """Start of every training: threads (0 for all), seeds, and where the networks run.

    Raises:
        InputError: CUDA is insisted on and absent.
    """
    chosen = pick_device(device)
    if threads:
        torch.set_num_threads(threads)
    seed_everything(seed)
    return chosen


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


def log_step(
    writer, step: int, parts: dict[str, torch.Tensor], norm: torch.Tensor, learning_rate: float
) -> None:
    """Losses, gradient norm and learning rate to TensorBoard, every ``LOG_EVERY`` steps."""
    if writer is None or step % LOG_EVERY:
        return
    for key, value in parts.items():
        writer.add_scalar(f"train/{key}", value.item(), step)
    writer.add_scalar("train/gradient_norm", norm.item(), step)
    writer.add_scalar("train/learning_rate", learning_rate, step)


def log_scores(writer, step: int, scores: dict[str, float]) -> None:
    """Scores on the held-out side to TensorBoard."""
    if writer is not None:
        for key, value in scores.items():
            writer.add_scalar(f"held_out/{key}", value, step)


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
