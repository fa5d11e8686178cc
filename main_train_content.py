"""Train the content branch: converted speech in, lip motion out (paper, section 4.1).

    python main_train_content.py --train --write --root_dir ROOT --name content

Reads <root_dir>/dump/<dump_file_name>_{train,val}_{au,fl}.pickle, which main_prepare_data.py
writes and which may be the published ones; writes <root_dir>/ckpt/<name> and <root_dir>/log/<name>.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from pathlib import Path

from src.command_line import run_command
from src.options import between
from src.training.options import numbers_by_name, training_parser

log = logging.getLogger("src.main_train_content")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = training_parser(__doc__, "content")
    add = parser.add_argument
    count, part = between(1, 10**9, int), between(0, 10**9)
    add("--dump_file_name", default="autovc_retrain_mel", help="start of the dumps' names")
    add("--split", choices=("val", "test"), default="val", help="judged without --train (val)")
    add("--load_a2l_C_name", type=Path, help="start from the weights of this checkpoint")
    add("--steps", type=count, default=2500, help="optimizer steps (%(default)s)")
    add("--nepoch", type=between(1, 10**6, int), help="epochs over all windows instead of --steps")
    add("--segment_batch_size", type=between(4, 10**6, int), default=512, help="(%(default)s)")
    run_length = between(2, 10**4, int)
    add("--run_length", type=run_length, default=4, help="frames of a clip at once (%(default)s)")
    add("--lr", type=part, default=1e-3, help="peak learning rate (%(default)s; paper: 1e-4)")
    add("--reg_lr", type=part, default=1e-6, help="weight decay (%(default)s)")
    add("--lambda_l1_loss", type=part, default=1.0, help="weighted L1 (%(default)s)")
    add("--lambda_square_loss", type=part, default=0.5, help="(%(default)s; paper: 0)")
    add("--lambda_laplacian_smooth_loss", type=part, default=1.0, help="(%(default)s)")
    add("--lambda_motion_loss", type=part, default=1.0, help="(%(default)s; paper: 0)")
    add(
        "--lambda_correlation_loss",
        type=part,
        default=0.0,
        help="on 1 - correlation of the lip gap over a run; wants a --run_length of 32 or more"
        " (%(default)s, as the paper)",
    )
    add("--mel_noise", type=part, default=0.1, help="noise on the features (%(default)s)")
    add(
        "--speed_change",
        type=between(0, 0.5),
        default=0.0,
        help="part by which runs are played faster or slower at most (%(default)s)",
    )
    add("--share", nargs="*", default=[], help="speaker prefix=part of each batch, e.g. rms=0.2")
    add(
        "--even_clips",
        action="store_true",
        help="draw the clips of a share equally often, not by their length",
    )
    add("--hidden_size", type=count, default=256, help="width of the LSTM (%(default)s)")
    add("--lstm_layers", type=count, default=3, help="(%(default)s)")
    add("--prior_hidden", type=count, default=256, help="(%(default)s)")
    add("--prior_size", type=count, default=161, help="(%(default)s)")
    add("--dropout", type=between(0, 1), default=0.5, help="between LSTM layers (%(default)s)")
    add("--bfloat16", action="store_true", help="compute in it: quicker where a processor can")
    lead = between(0, 17, int)
    add("--window_lead", type=lead, default=0, help="frames heard before each (%(default)s)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    return run_command(run, parse(arguments))


def run(options: argparse.Namespace) -> None:
    from src.data import dumps, synthesis
    from src.models.config import ContentConfig
    from src.models.content import ContentBranch
    from src.models.loading import load_network, stored_statistics
    from src.training import content, parallel, runs

    training = runs.begin(options)
    root = options.root_dir
    network = ContentBranch(
        ContentConfig(
            prior_hidden=options.prior_hidden,
            prior=options.prior_size,
            lstm_size=options.hidden_size,
            lstm_layers=options.lstm_layers,
            dropout=options.dropout,
            window_lead=options.window_lead,
        )
    )
    with parallel.first_alone():  # which lays a large dump out for all
        clips, held_out = dumps.read_training(root, options.dump_file_name)
    statistics = content.statistics(clips)
    if given := options.load_a2l_C_name:
        network, contents, _ = load_network("content", given)
        if "mel_mean" in contents:
            statistics = stored_statistics(contents, given)
    if training.resume:
        statistics = stored_statistics(runs.load_run(training.last, network.config), training.last)
    lead = network.config.window_lead
    phones = synthesis.read_phones(root)
    validation = content.Corpus.of(held_out, *statistics, lead)
    if not options.train:
        if options.split != "val":
            chosen = dumps.read_clips(root, options.split, options.dump_file_name)
            validation = content.Corpus.of(chosen, *statistics, lead)
        scores = content.validate(network.to(training.device), validation, phones, training.device)
        log.info(", ".join(f"{key} {value:.3f}" for key, value in scores.items()))
        return
    if options.nepoch:
        windows = sum(len(clip.features) for clip in clips)
        epoch = -(-windows // options.segment_batch_size)
        training = dataclasses.replace(training, steps=options.nepoch * epoch)
    settings = content.Options(
        segment_batch_size=options.segment_batch_size,
        run_length=options.run_length,
        learning_rate=options.lr,
        weight_decay=options.reg_lr,
        l1_weight=options.lambda_l1_loss,
        square_weight=options.lambda_square_loss,
        laplacian_weight=options.lambda_laplacian_smooth_loss,
        motion_weight=options.lambda_motion_loss,
        correlation_weight=options.lambda_correlation_loss,
        mel_noise=options.mel_noise,
        speed_change=options.speed_change,
        shares=numbers_by_name("--share", options.share),
        even_clips=options.even_clips,
        bfloat16=options.bfloat16,
        seed=options.seed,
    )
    corpus = content.Corpus.of(clips, *statistics, lead)
    content.train(training, network, corpus, validation, phones, settings, statistics)


if __name__ == "__main__":
    sys.exit(main())
