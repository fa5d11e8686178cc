"""What all trainings share: where a run keeps its files, and how it goes on after a stop."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from src.data.dumps import replace_file
from src.device import pick_device
from src.errors import InputError
from src.models.config import stored_config
from src.training import parallel

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """How long a training goes on, and where it and its files are."""

    steps: int
    validate_every: int  # steps between validations, each with a checkpoint
    log_every: int  # steps between lines of progress and entries in TensorBoard
    device: torch.device
    folder: Path  # of the checkpoints
    log: Path  # folder of the TensorBoard log
    write: bool  # checkpoints and log
    resume: bool  # go on from the last checkpoint

    @property
    def last(self) -> Path:
        """The checkpoint to go on from."""
        return self.folder / "ckpt_last.pth"


def save_run(path: Path, **contents: Any) -> None:
    """Write tensors, plain values and dataclasses of them (as dicts).

    The file is whole whenever the process is killed.
    """
    stored = {
        name: dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value
        for name, value in contents.items()
    }

    def write(file: BinaryIO) -> None:
        torch.save(stored, file)
        file.flush()
        os.fsync(file.fileno())

    for left_over in path.parent.glob(f".{path.name}.*.part"):  # by a run that was killed
        left_over.unlink(missing_ok=True)
    replace_file(path, write)


def load_run(path: Path, config: Any) -> dict[str, Any]:
    """Read the checkpoint of a run that is to go on.

    Args:
        config: dataclass of sizes of the network that is to go on.

    Raises:
        InputError: the file is missing, is not a run's checkpoint, or is of another network.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint to resume from")
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
        stored = stored_config(type(config), contents.get("config", {}))
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not a checkpoint of a training ({reason})") from None
    there, here = dataclasses.asdict(stored), dataclasses.asdict(config)
    different = [
        f"{key} is {there.get(key)} there and {here.get(key)} here"
        for key in sorted({*there, *here})
        if there.get(key) != here.get(key)
    ]
    if different:
        raise InputError(f"{path}: of another network: {', '.join(different)}")
    return contents


def begin(options: argparse.Namespace) -> Run:
    """Start of every training: threads (0 for all), seeds, processes, where things are.

    Args:
        options: as ``training_parser`` reads them, with ``steps``.

    Raises:
        InputError: CUDA is insisted on and absent.
    """
    device = parallel.start(pick_device(options.device))
    if options.threads:
        torch.set_num_threads(options.threads)
    seed_everything(options.seed)
    return Run(
        steps=options.steps,
        validate_every=options.validate_every,
        log_every=options.log_every,
        device=device,
        folder=options.root_dir / "ckpt" / options.name,
        log=options.root_dir / "log" / options.name,
        write=options.write,
        resume=options.train and options.resume,
    )


def seed_everything(seed: int) -> None:
    """Seed every generator that a training draws from."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def summary_writer(folder: Path, step: int) -> Any:
    """TensorBoard writer of a run that goes on after ``step``; None where there is none to have."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        _log.warning("tensorboardX is not installed: no TensorBoard log")
        return None
    return SummaryWriter(os.fspath(folder), purge_step=step + 1 if step else None)
