"""Train image translation: landmark image and portrait to the frame (paper, section 4.4).

    python main_train_image_translation.py --train --write --root_dir ROOT --name NAME --mends

Reads <root_dir>/dump/<dump_file_name>_{train,val}.npz of main_prepare_data.py --step pictures;
writes <root_dir>/ckpt/<name> and <root_dir>/log/<name>, with sheets of images (portrait, warped
portrait, prediction, ground truth, landmarks). Without --mends the network is the paper's, which
generates the frame; with it, one that refines the portrait warped by the landmarks.
"""

from __future__ import annotations

import argparse
import logging
import sys

from src.command_line import run_command
from src.errors import InputError
from src.models.config import TranslationConfig
from src.options import between, from_options
from src.training.settings import ImageTranslationTraining, training_parser

SIZES = ("mends", "ngf", "max_widening", "num_downs")

log = logging.getLogger("src.main_train_image_translation")


def main(arguments: list[str] | None = None) -> int:
    parser = training_parser(__doc__, ImageTranslationTraining, TranslationConfig, SIZES)
    count = between(1, float("inf"), int)
    help_text = "same as --validate_every"
    parser.add_argument("--ckpt_last_freq", dest="validate_every", type=count, help=help_text)
    return run_command(run, parser.parse_args(arguments))


def run(options: argparse.Namespace) -> None:
    from src.data.packed_faces import read_faces
    from src.models.image_translation import ResUnetGenerator
    from src.models.loading import load_network
    from src.training import image_translation, loop

    settings = from_options(options, ImageTranslationTraining)
    device = loop.begin(settings)
    if path := settings.load_G_name:
        network = load_network("translation", path).network
    else:
        network = ResUnetGenerator(from_options(options, TranslationConfig))
    factor = 2**network.config.num_downs
    if settings.window % factor:
        raise InputError(
            f"--window {settings.window}: must be a multiple of {factor} for this network"
        )
    held_out = read_faces(settings.root_dir, "val", settings.dump_file_name)
    if settings.train:
        images = read_faces(settings.root_dir, "train", settings.dump_file_name)
        image_translation.train(settings, device, network, images, held_out)
        return
    pairs = image_translation.validation_pairs(held_out, network.config.mends)
    scores = image_translation.validate(network.to(device), pairs, device)
    log.info("held out: %s", loop.described(scores))


if __name__ == "__main__":
    sys.exit(main())
