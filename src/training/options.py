"""The options that all trainings have, kept free of heavy imports for ``--help``."""

from __future__ import annotations

import argparse
from pathlib import Path

from src.command_line import OneLineParser
from src.errors import InputError
from src.options import between


def training_parser(doc: str, name: str) -> argparse.ArgumentParser:
    """Parser with what every training has.

    Args:
        doc: the script's description.
        name: default name of the run.
    """
    parser = OneLineParser(
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    count = between(1, 10**9, int)
    add("--train", action="store_true", help="train; otherwise only validate")
    add("--write", action="store_true", help="write checkpoints and TensorBoard logs")
    add("--root_dir", type=Path, required=True, help="folder with dump/, ckpt/ and log/")
    add("--name", default=name, help="name of the run (%(default)s)")
    add("--resume", action="store_true", help="go on from the run's last checkpoint")
    add("--validate_every", type=count, default=200, help="steps between checkpoints (%(default)s)")
    add("--log_every", type=count, default=20, help="steps between lines of losses (%(default)s)")
    add("--seed", type=between(0, 2**32 - 1, int), default=0, help="(%(default)s)")
    add(
        "--threads",
        type=between(0, 1024, int),
        default=0,
        help="CPU threads, 0 for all (%(default)s)",
    )
    add("--device", choices=("auto", "cuda", "cpu"), default="auto", help="(%(default)s)")
    return parser


def numbers_by_name(option: str, pairs: list[str]) -> dict[str, float]:
    """``["rms=0.2"]`` as a dict.

    Raises:
        InputError: a pair is not a name and a number from 0; the message names the option.
    """
    numbers = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        try:
            numbers[name] = between(0, 10**6)(text)
        except argparse.ArgumentTypeError:
            raise InputError(f"{option}: expected name=number, not {pair}") from None
    return numbers
