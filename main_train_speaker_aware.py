"""Train the speaker-aware branch: who speaks moves the head (paper, section 4.2).

    python main_train_speaker_aware.py --train --write --root_dir ROOT --name speaker_aware

Reads <root_dir>/dump/<dump_file_name>_{train,val}_{au,fl}.pickle and <root_dir>/dump/faces.npz,
which main_prepare_data.py writes; writes <root_dir>/ckpt/<name> and <root_dir>/log/<name>.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from src.command_line import run_command
from src.options import between
from src.training.options import numbers_by_name, training_parser

log = logging.getLogger("src.main_train_speaker_aware")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = training_parser(__doc__, "speaker_aware")
    add = parser.add_argument
    count, part = between(1, 10**9, int), between(0, 10**9)
    add("--dump_file_name", default="speaker_aware", help="start of the dumps' names")
    add("--load_a2l_G_name", type=Path, help="start from the weights of this checkpoint")
    add("--load_a2l_C_name", type=Path, help="content checkpoint whose statistics are used")
    add("--steps", type=count, default=3000, help="optimizer steps (%(default)s)")
    add("--batch_size", type=count, default=4, help="sequences a step (%(default)s)")
    add("--lr", type=part, default=5e-4, help="peak learning rate (%(default)s; paper: 1e-4)")
    add("--lr_discriminator", type=part, default=1e-4, help="(%(default)s)")
    add("--lambda_laplacian_smooth_loss", type=part, default=1.0, help="(%(default)s)")
    add("--lambda_gan_loss", type=part, default=0.02, help="(%(default)s)")
    add("--lambda_moment_loss", type=part, default=1.0, help="(%(default)s; paper: 0)")
    add("--lambda_pose_loss", type=part, default=0.0, help="moments of the head (%(default)s)")
    add("--mel_noise", type=part, default=0.1, help="noise on the features (%(default)s)")
    add("--motion_gain", type=part, default=1.0, help="factor on the true motion (%(default)s)")
    add("--share", nargs="*", default=[], help="speaker prefix=part of each batch, e.g. grid=0.1")
    add("--audio_size", type=count, default=256, help="width of the LSTM (%(default)s)")
    add("--audio_layers", type=count, default=3, help="its layers (%(default)s)")
    add("--feed_forward", type=count, default=2048, help="in the attention layers (%(default)s)")
    add(
        "--max_length",
        type=between(64, 10**6, int),
        default=512,
        help="windows of a sequence (%(default)s)",
    )
    lead = between(0, 17, int)
    add("--window_lead", type=lead, default=0, help="frames heard before each (%(default)s)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    return run_command(run, parse(arguments))


def run(options: argparse.Namespace) -> None:
    from src.data import dumps
    from src.data.reference_faces import load_reference_faces
    from src.io.checkpoint import read_checkpoint
    from src.models.config import MotionDiscriminatorConfig, SpeakerConfig
    from src.models.loading import load_network, stored_statistics
    from src.models.speaker_aware import MotionDiscriminator, SpeakerBranch
    from src.training import content, parallel, runs, speaker_aware

    training = runs.begin(options)
    root = options.root_dir
    network = SpeakerBranch(
        SpeakerConfig(
            audio_size=options.audio_size,
            audio_layers=options.audio_layers,
            feed_forward=options.feed_forward,
            max_length=options.max_length,
            unused_decoder=False,
            window_lead=options.window_lead,
        )
    )
    with parallel.first_alone():  # which lays a large dump out for all
        clips, held_out = dumps.read_training(root, options.dump_file_name)
    statistics = content.statistics(clips)
    if given := options.load_a2l_C_name:
        statistics = stored_statistics(read_checkpoint(given)[0], given)
    if given := options.load_a2l_G_name:
        network = load_network("speaker", given).network
    if training.resume:
        state = runs.load_run(training.last, network.config)
        statistics = stored_statistics(state, training.last)
    standard = load_reference_faces(root).standard_face
    lead = network.config.window_lead
    validation = speaker_aware.Corpus.of(held_out, *statistics, standard, lead, options.motion_gain)
    if not options.train:
        scores = speaker_aware.validate(network.to(training.device), validation, training.device)
        log.info(", ".join(f"{key} {value:.3f}" for key, value in scores.items()))
        return
    settings = speaker_aware.Options(
        sequences=options.batch_size,
        learning_rate=options.lr,
        discriminator_rate=options.lr_discriminator,
        laplacian_weight=options.lambda_laplacian_smooth_loss,
        gan_weight=options.lambda_gan_loss,
        moment_weight=options.lambda_moment_loss,
        pose_weight=options.lambda_pose_loss,
        mel_noise=options.mel_noise,
        shares=numbers_by_name("--share", options.share),
        seed=options.seed,
    )
    speaker_aware.train(
        training,
        network,
        MotionDiscriminator(MotionDiscriminatorConfig(feed_forward=network.config.feed_forward)),
        speaker_aware.Corpus.of(clips, *statistics, standard, lead, options.motion_gain),
        validation,
        settings,
        statistics,
    )


if __name__ == "__main__":
    sys.exit(main())
