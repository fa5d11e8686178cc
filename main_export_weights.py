"""Pack the checkpoints of the trainings into the weights that the repository embeds.

    python main_export_weights.py --root_dir ROOT --load_AUTOVC_name ROOT/ckpt/vc/ckpt_best.pth \\
        --load_a2l_C_name ROOT/ckpt/content/ckpt_best.pth \\
        --load_a2l_G_name ROOT/ckpt/speaker_aware/ckpt_last.pth --out_dir examples/ckpt/embedded

Writes autovc, content, speaker and constants, and translation if --load_G_name is given, each a
float16 .safetensors file with the network's sizes inside. Nothing is written unless all of them are
valid. Several content branches become an ensemble. They are adapted to the rest: they take features
standardised as for the speaker-aware branch, leave the points still that move only with the skull,
and their lip motion is scaled by --lip_gain.
"""

from __future__ import annotations

import argparse
import logging
import sys

from src.command_line import OneLineParser, run_command
from src.options import add_options, from_options
from src.training.settings import Export

log = logging.getLogger("src.main_export_weights")


def main(arguments: list[str] | None = None) -> int:
    parser = OneLineParser(description=__doc__)
    add_options(parser, Export)
    return run_command(run, parser.parse_args(arguments))


def run(options: argparse.Namespace) -> None:
    from src.io.checkpoint import save_embedded
    from src.training import export

    settings = from_options(options, Export)
    for name, (tensors, config) in export.collect(settings).items():
        path = settings.out_dir / name
        save_embedded(path, tensors, config)
        log.info("%s: %.2f MB", path, path.stat().st_size / 1e6)


if __name__ == "__main__":
    sys.exit(main())
