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
from pathlib import Path

from src.command_line import OneLineParser, run_command
from src.options import between

log = logging.getLogger("src.main_export_weights")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = OneLineParser(description=__doc__)
    add = parser.add_argument
    add("--root_dir", type=Path, required=True, help="folder with dump/")
    add("--load_AUTOVC_name", type=Path, required=True, help="of main_train_voice_conversion.py")
    several = {"nargs": "+", "type": Path, "required": True}
    add("--load_a2l_C_name", **several, help="of main_train_content.py; several: an ensemble")
    add("--load_a2l_G_name", type=Path, required=True, help="of main_train_speaker_aware.py")
    add("--load_G_name", type=Path, help="of main_train_image_translation.py, if to be embedded")
    add(
        "--lip_gain",
        type=between(0.01, 100),
        default=1.0,
        help="factor on vertical lip motion, which a loss on its correlation leaves undetermined "
        "(%(default)s)",
    )
    add("--out_dir", type=Path, default=Path("examples/ckpt/embedded"), help="(%(default)s)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    return run_command(run, parse(arguments))


def run(options: argparse.Namespace) -> None:
    from src.training import export

    files = export.collect(
        options.root_dir,
        options.load_AUTOVC_name,
        options.load_a2l_C_name,
        options.load_a2l_G_name,
        options.load_G_name,
        options.lip_gain,
    )
    out = options.out_dir
    export.save(files, out)
    for name in files:
        log.info("%s: %.2f MB", out / name, (out / name).stat().st_size / 1e6)


if __name__ == "__main__":
    sys.exit(main())
