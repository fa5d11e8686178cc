"""Pack the checkpoints of the three audio trainings into the weights that the repository embeds.

    python main_export_weights.py --root_dir ROOT --load_AUTOVC_name ROOT/ckpt/vc/ckpt_best.pth \\
        --load_a2l_C_name ROOT/ckpt/content/ckpt_best.pth \\
        --load_a2l_G_name ROOT/ckpt/speaker_aware/ckpt_last.pth --out_dir examples/ckpt/embedded

Writes autovc, content, speaker and constants, each a float16 .safetensors file with the network's
sizes inside.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from src.command_line import OneLineParser, run_command
from src.errors import InputError

log = logging.getLogger("src.main_export_weights")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--root_dir", type=Path, required=True, help="folder with dump/")
    add("--load_AUTOVC_name", type=Path, required=True, help="of main_train_voice_conversion.py")
    add("--load_a2l_C_name", type=Path, required=True, help="of main_train_content.py")
    add("--load_a2l_G_name", type=Path, required=True, help="of main_train_speaker_aware.py")
    add("--out_dir", type=Path, default=Path("examples/ckpt/embedded"), help="(%(default)s)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    return run_command(run, parse(arguments))


def run(options: argparse.Namespace) -> None:
    import numpy as np
    import torch

    from src.checkpoints import checkpoint_part, read_checkpoint, save_embedded
    from src.training.prepare import load_faces

    target = options.root_dir / "dump" / "target_embedding.npy"
    if not target.is_file():
        raise InputError(f"{target}: absent; main_prepare_data.py --step content writes it")
    standard = load_faces(options.root_dir).standard_face
    options.out_dir.mkdir(parents=True, exist_ok=True)
    parts = (
        ("autovc", options.load_AUTOVC_name, "model"),
        ("content", options.load_a2l_C_name, "model_g_face_id"),
        ("speaker", options.load_a2l_G_name, "G"),
    )
    for name, path, key in parts:
        contents, config = read_checkpoint(path)
        save_embedded(
            options.out_dir / f"{name}.safetensors", checkpoint_part(contents, key, path), config
        )
        if name == "content":
            mean, deviation = contents["mel_mean"], contents["mel_std"]
        elif name == "speaker" and not torch.equal(contents["mel_mean"], mean):
            raise InputError(
                f"{path}: trained with other statistics than {options.load_a2l_C_name}; "
                "give that to main_train_speaker_aware.py as --load_a2l_C_name"
            )
    constants = {
        "target_embedding": torch.from_numpy(np.load(target)),
        "mel_mean": mean,
        "mel_std": deviation,
        "standard_face": torch.from_numpy(standard).float(),
    }
    save_embedded(options.out_dir / "constants.safetensors", constants, {})
    for path in sorted(options.out_dir.glob("*.safetensors")):
        log.info("%s: %.2f MB", path, path.stat().st_size / 1e6)


if __name__ == "__main__":
    sys.exit(main())
