"""Train image translation: drawn landmarks and a portrait in, the frame out (paper, 4.4).

    python main_train_image_translation.py --train --write --root_dir ROOT --name NAME --mends

Reads <root_dir>/dump/<dump_file_name>_{train,val}_*.npz of main_prepare_data.py --step pictures;
writes <root_dir>/ckpt/<name> and <root_dir>/log/<name>, sheets of pictures among it
(portrait, warped, made, true, landmarks). Without --mends the network is the paper's, which paints
the frame; with it, one that mends the portrait warped by the landmarks.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from pathlib import Path

from src.command_line import run_command
from src.errors import InputError
from src.options import between
from src.training.options import training_parser

log = logging.getLogger("src.main_train_image_translation")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = training_parser(__doc__, "image_translation")
    add = parser.add_argument
    count, part = between(1, 10**9, int), between(0, 10**9)
    any_count = between(0, 10**9, int)
    add("--dump_file_name", default="pictures", help="start of the shards' names (%(default)s)")
    add("--load_G_name", type=Path, help="start from the weights of this checkpoint")
    add("--steps", type=count, default=10000, help="optimizer steps (%(default)s)")
    add("--nepoch", type=count, help="times that every packed picture is a portrait, for --steps")
    add("--batch_size", type=count, default=16, help="portraits of a batch (%(default)s)")
    add("--num_frames", type=count, default=4, help="targets of each portrait (%(default)s)")
    add("--num_workers", type=any_count, default=2, help="processes that read (%(default)s)")
    add("--lr", type=part, default=1e-4, help="peak learning rate (%(default)s)")
    add("--jpg_freq", type=any_count, default=1000, help="steps between sheets (%(default)s)")
    add("--ckpt_last_freq", dest="validate_every", type=count, help="same as --validate_every")
    add("--ckpt_epoch_freq", type=any_count, default=0, help="epochs between checkpoints kept")
    add("--mends", action="store_true", help="mend the warped portrait instead of painting")
    add("--ngf", type=count, default=64, help="width of the network (%(default)s)")
    add("--max_widening", type=count, default=8, help="of deeper levels, times (%(default)s)")
    add("--num_downs", type=between(2, 8, int), default=6, help="levels (%(default)s)")
    window = between(64, 256, int)
    add("--window", type=window, default=256, help="pixels of the square trained on (%(default)s)")
    add("--bfloat16", action="store_true", help="compute in it on a CPU too, as on CUDA always")
    judges = ("face", "mouth")
    add("--judges", nargs="*", choices=judges, default=judges, help="discriminators (both)")
    add("--ndf", type=count, default=48, help="width of the discriminators (%(default)s)")
    add("--vgg", type=Path, help="torchvision's VGG-19 weights, where PyTorch's cache lacks them")
    add("--lambda_l1_loss", type=part, default=1.0, help="(%(default)s)")
    add("--lambda_perceptual_loss", type=part, default=1.0, help="of VGG-19 (%(default)s)")
    add("--lambda_style_loss", type=part, default=100.0, help="of VGG-19 (%(default)s)")
    add("--lambda_adversarial_loss", type=part, default=0.0, help="(%(default)s; paper: 0)")
    add("--lambda_matching_loss", type=part, default=0.0, help="(%(default)s; paper: 0)")
    add("--lambda_share_loss", type=part, default=0.0, help="on what is mended (%(default)s)")
    add("--mouth_weight", type=part, default=0.0, help="of L1, besides 1 (%(default)s; paper: 0)")
    add("--eye_weight", type=part, default=0.0, help="of L1, besides 1 (%(default)s; paper: 0)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    return run_command(run, parse(arguments))


def run(options: argparse.Namespace) -> None:
    from src.data import image_shards
    from src.models.config import TranslationConfig
    from src.models.image_translation import ResUnetGenerator
    from src.models.loading import load_network
    from src.training import image_translation, perceptual, runs, translation_losses

    training = runs.begin(options)
    if options.load_G_name:
        network = load_network("translation", options.load_G_name).network
    else:
        network = ResUnetGenerator(
            TranslationConfig(
                mends=options.mends,
                num_downs=options.num_downs,
                ngf=options.ngf,
                max_widening=options.max_widening,
            )
        )
    step = 2**network.config.num_downs
    if options.window % step:
        raise InputError(
            f"--window {options.window}: must be a multiple of {step} for this network"
        )
    held_out = image_shards.read_shards(options.root_dir, "val", options.dump_file_name)
    if not options.train:
        scores = image_translation.judge(network.to(training.device), held_out, training.device)
        log.info(", ".join(f"{key} {value:.4f}" for key, value in scores.items()))
        return
    pictures = image_shards.read_shards(options.root_dir, "train", options.dump_file_name)
    epoch = -(-len(pictures.jpegs) // options.batch_size)
    if options.nepoch:
        training = dataclasses.replace(training, steps=options.nepoch * epoch)
    weights = translation_losses.Weights(
        l1_weight=options.lambda_l1_loss,
        perceptual_weight=options.lambda_perceptual_loss,
        style_weight=options.lambda_style_loss,
        adversarial_weight=options.lambda_adversarial_loss,
        matching_weight=options.lambda_matching_loss,
        share_weight=options.lambda_share_loss,
        mouth_weight=options.mouth_weight,
        eye_weight=options.eye_weight,
        bfloat16=options.bfloat16 or training.device.type == "cuda",
    )
    settings = image_translation.Options(
        batch_size=options.batch_size,
        num_frames=options.num_frames,
        num_workers=options.num_workers,
        window=options.window,
        judges=tuple(options.judges),
        judge_width=options.ndf,
        learning_rate=options.lr,
        weights=weights,
        sheet_every=options.jpg_freq,
        kept_every=options.ckpt_epoch_freq * epoch,
        seed=options.seed,
    )
    vgg = None
    if options.lambda_perceptual_loss or options.lambda_style_loss:
        vgg = perceptual.find_vgg(options.vgg)
    image_translation.train(training, network, pictures, held_out, settings, vgg)


if __name__ == "__main__":
    sys.exit(main())
