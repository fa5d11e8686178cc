"""Pack the checkpoints of the trainings into the weights that the repository embeds.

    python main_export_weights.py --root_dir ROOT --load_AUTOVC_name ROOT/ckpt/vc/ckpt_best.pth \\
        --load_a2l_C_name ROOT/ckpt/content/ckpt_best.pth \\
        --load_a2l_G_name ROOT/ckpt/speaker_aware/ckpt_last.pth --out_dir examples/ckpt/embedded

Writes autovc, content, speaker and constants, and translation where --load_G_name gives it, each a
float16 .safetensors file with the network's sizes inside. Nothing is written unless all of them are
in order. Several content branches become one that says what they say in the mean. The content
branch is fitted to the rest: it hears features standardised as the speaker-aware branch does,
leaves the points still that move with the skull, and its lips move by --lip_gain.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from src.command_line import OneLineParser, run_command
from src.errors import InputError
from src.options import between

if TYPE_CHECKING:
    import numpy as np

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
    several = {"nargs": "+", "type": Path, "required": True}
    add("--load_a2l_C_name", **several, help="of main_train_content.py; of several, their mean")
    add("--load_a2l_G_name", type=Path, required=True, help="of main_train_speaker_aware.py")
    add("--load_G_name", type=Path, help="of main_train_image_translation.py, if to be embedded")
    add(
        "--lip_gain",
        type=between(0.01, 100),
        default=1.0,
        help="factor on how far lips move up and down, which a loss on their correlation leaves "
        "open (%(default)s)",
    )
    add("--out_dir", type=Path, default=Path("examples/ckpt/embedded"), help="(%(default)s)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    return run_command(run, parse(arguments))


def run(options: argparse.Namespace) -> None:
    files = collect(options)
    out = options.out_dir
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as folder:
            save(files, Path(folder))
            out.mkdir(exist_ok=True)
            for name in files:
                os.replace(Path(folder) / name, out / name)
    except OSError as error:
        raise InputError(f"--out_dir {out}: cannot be written: {error.strerror}") from None
    for name in files:
        log.info("%s: %.2f MB", out / name, (out / name).stat().st_size / 1e6)


def collect(options: argparse.Namespace) -> dict[str, tuple[dict, dict]]:
    """Tensors and config of each file to write, read and checked.

    Raises:
        InputError: something is missing, or does not belong together.
    """
    import torch

    from src.data.passages import load_faces
    from src.models.autovc import Generator
    from src.models.content import ContentBranch, hold_skull, restandardise, scale_lips
    from src.models.image_translation import ResUnetGenerator
    from src.models.merging import joined
    from src.models.speaker_aware import SpeakerBranch
    from src.training import runs

    target = read_embedding(options.root_dir / "dump" / "target_embedding.npy")
    standard = load_faces(options.root_dir).standard_face
    networks = {"autovc": runs.load_network(Generator, "model", options.load_AUTOVC_name)[0]}
    path = options.load_a2l_G_name
    networks["speaker"], contents = runs.load_network(SpeakerBranch, "G", path)
    # Both branches hear the same features, standardised as the speaker-aware one learned to.
    mean, deviation = map(torch.from_numpy, runs.stored_statistics(contents, path))
    branches = []
    for path in options.load_a2l_C_name:
        branch, contents = runs.load_network(ContentBranch, "model_g_face_id", path)
        own = tuple(map(torch.from_numpy, runs.stored_statistics(contents, path)))
        restandardise(branch, own, (mean, deviation))
        branches.append(branch.eval())
    try:
        networks["content"] = joined(branches) if len(branches) > 1 else branches[0]
    except ValueError as error:
        raise InputError(f"--load_a2l_C_name: {error}") from None
    scale_lips(networks["content"], options.lip_gain)
    hold_skull(networks["content"])
    constants = {
        "target_embedding": torch.from_numpy(target),
        "mel_mean": mean,
        "mel_std": deviation,
        "standard_face": torch.from_numpy(standard).float(),
    }
    if options.load_G_name:
        networks["translation"], _ = runs.load_network(ResUnetGenerator, "G", options.load_G_name)
    files = {
        f"{name}.safetensors": (network.state_dict(), network.config)
        for name, network in networks.items()
    }
    return files | {"constants.safetensors": (constants, {})}


def read_embedding(path: Path) -> np.ndarray:
    """The target voice's embedding (256,).

    Raises:
        InputError: it is absent, or not 256 finite numbers.
    """
    import numpy as np

    if not path.is_file():
        raise InputError(f"{path}: absent; main_prepare_data.py --step content writes it")
    try:
        embedding = np.load(path)
        if embedding.shape == (256,) and np.isfinite(embedding).all():
            return embedding.astype(np.float32)
    except (OSError, ValueError, EOFError, TypeError):
        pass
    raise InputError(f"{path}: not 256 finite numbers")


def save(files: dict[str, tuple[dict, dict]], folder: Path) -> None:
    """Write the tensors and config of each file into a folder.

    Raises:
        InputError: a value does not fit float16.
    """
    from src.io.checkpoint import save_embedded

    for name, (tensors, config) in files.items():
        try:
            save_embedded(folder / name, tensors, config)
        except ValueError as error:
            raise InputError(f"{name}: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
