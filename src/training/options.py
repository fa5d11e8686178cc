"""The options that all trainings have, kept free of heavy imports for ``--help``."""

from __future__ import annotations

import argparse
from pathlib import Path

from src.command_line import OneLineParser, between


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
    add("--seed", type=int, default=0, help="(%(default)s)")
    add("--threads", type=int, default=0, help="CPU threads, 0 for all (%(default)s)")
    add("--device", choices=("auto", "cuda", "cpu"), default="auto", help="(%(default)s)")
    return parser
