"""Train the content branch: converted speech in, lip motion out (paper, section 4.1).

    python main_train_content.py --train --write --root_dir ROOT --name content

Reads <root_dir>/dump/<dump_file_name>_{train,val}_{au,fl}.pickle, which main_prepare_data.py
writes and which may be the published ones; writes <root_dir>/ckpt/<name> and <root_dir>/log/<name>.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from src.command_line import run_command
from src.training.options import training_parser

log = logging.getLogger("src.main_train_content")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = training_parser(__doc__, "content")
    add = parser.add_argument
    add("--dump_file_name", default="autovc_retrain_mel", help="start of the dumps' names")
    add("--load_a2l_C_name", type=Path, help="start from the weights of this checkpoint")
    add("--steps", type=int, default=2500, help="optimizer steps (%(default)s)")
    add("--segment_batch_size", type=int, default=512, help="windows a step (%(default)s)")
    add("--lr", type=float, default=1e-3, help="peak learning rate (%(default)s; paper: 1e-4)")
    add("--reg_lr", type=float, default=1e-6, help="weight decay (%(default)s)")
    add("--lambda_l1_loss", type=float, default=1.0, help="weighted L1 (%(default)s)")
    add("--lambda_square_loss", type=float, default=0.5, help="(%(default)s; paper: 0)")
    add("--lambda_laplacian_smooth_loss", type=float, default=1.0, help="(%(default)s)")
    add("--lambda_motion_loss", type=float, default=1.0, help="(%(default)s; paper: 0)")
    add("--mel_noise", type=float, default=0.1, help="noise on the features (%(default)s)")
    add("--share", nargs="*", default=[], help="speaker prefix=part of each batch, e.g. rms=0.2")
    add("--hidden_size", type=int, default=256, help="width of the LSTM (%(default)s)")
    add("--lstm_layers", type=int, default=3, help="(%(default)s)")
    add("--prior_hidden", type=int, default=256, help="(%(default)s)")
    add("--prior_size", type=int, default=161, help="(%(default)s)")
    add("--dropout", type=float, default=0.5, help="between LSTM layers (%(default)s)")
    add("--window_lead", type=int, default=0, help="frames heard before each (%(default)s)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    return run_command(run, parse(arguments))


def run(options: argparse.Namespace) -> None:
    import torch

    from src.device import pick_device
    from src.networks.content import ContentBranch
    from src.training import content, dumps, runs

    device = pick_device(options.device)
    if options.threads:
        torch.set_num_threads(options.threads)
    runs.seed_everything(options.seed)
    root = options.root_dir
    folder = runs.checkpoint_folder(root, options.name)
    network = ContentBranch(
        prior_hidden=options.prior_hidden,
        prior=options.prior_size,
        lstm_size=options.hidden_size,
        lstm_layers=options.lstm_layers,
        dropout=options.dropout,
        window_lead=options.window_lead,
    )
    clips = dumps.read_clips(root, "train", options.dump_file_name)
    statistics = content.statistics(clips)
    if options.load_a2l_C_name:
        from src.checkpoints import load_weights, read_checkpoint

        contents, config = read_checkpoint(options.load_a2l_C_name)
        network = ContentBranch(**config)
        load_weights(network, contents["model_g_face_id"], options.load_a2l_C_name)
        if "mel_mean" in contents:
            statistics = contents["mel_mean"].numpy(), contents["mel_std"].numpy()
    lead = network.config["window_lead"]
    phones = dumps.read_phones(root)
    held_out = dumps.read_clips(root, "val", options.dump_file_name)
    validation = content.Corpus.of(held_out, *statistics, lead)
    if not options.train:
        scores = content.validate(network.to(device), validation, phones, device)
        log.info(", ".join(f"{key} {value:.3f}" for key, value in scores.items()))
        return
    settings = content.Options(
        steps=options.steps,
        segment_batch_size=options.segment_batch_size,
        learning_rate=options.lr,
        weight_decay=options.reg_lr,
        l1_weight=options.lambda_l1_loss,
        square_weight=options.lambda_square_loss,
        laplacian_weight=options.lambda_laplacian_smooth_loss,
        motion_weight=options.lambda_motion_loss,
        mel_noise=options.mel_noise,
        shares=runs.shares_of(options.share),
        seed=options.seed,
        validate_every=options.validate_every,
    )
    content.train(
        network,
        content.Corpus.of(clips, *statistics, lead),
        validation,
        phones,
        settings,
        statistics,
        folder,
        runs.summary_writer(root, options.name, options.write),
        options.resume,
        device,
        options.write,
    )


if __name__ == "__main__":
    sys.exit(main())
