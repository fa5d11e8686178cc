"""Train the content branch: converted speech in, lip motion out (paper, section 4.1).

    python main_train_content.py --train --write --root_dir ROOT --name content

Reads <root_dir>/dump/<dump_file_name>_{train,val}_{au,fl}.pickle, which main_prepare_data.py
writes and which may be the published ones; writes <root_dir>/ckpt/<name> and <root_dir>/log/<name>.
"""

from __future__ import annotations

import argparse
import logging
import sys

from src.command_line import run_command
from src.models.config import ContentConfig
from src.options import from_options
from src.training.settings import ContentTraining, training_parser

SIZES = ("lstm_size", "lstm_layers", "prior_hidden", "prior", "dropout", "window_lead")

log = logging.getLogger("src.main_train_content")


def main(arguments: list[str] | None = None) -> int:
    parser = training_parser(__doc__, ContentTraining, ContentConfig, SIZES)
    return run_command(run, parser.parse_args(arguments))


def run(options: argparse.Namespace) -> None:
    from src.data import dumps, synthesis
    from src.models.content import ContentBranch
    from src.models.loading import load_network, stored_statistics
    from src.training import checkpoints, content, loop, parallel
    from src.training.corpus import Corpus, feature_statistics

    settings = from_options(options, ContentTraining)
    device = loop.begin(settings)
    network = ContentBranch(from_options(options, ContentConfig))
    with parallel.first_alone():  # which converts a large dump for all
        clips, held_out = dumps.read_training(settings.root_dir, settings.dump_file_name)
    statistics = feature_statistics(clips)
    if path := settings.load_a2l_C_name:
        network, contents, _ = load_network("content", path)
        if "mel_mean" in contents:
            statistics = stored_statistics(contents, path)
    if settings.train and settings.resume:
        statistics = checkpoints.resumed_statistics(settings.last_checkpoint, network.config)
    if not settings.train and settings.split != "val":
        held_out = dumps.read_clips(settings.root_dir, settings.split, settings.dump_file_name)
    phones = synthesis.read_phones(settings.root_dir)
    validation = Corpus.of(held_out, statistics, network.config.window_lead)
    if not settings.train:
        scores = content.validate(network.to(device), validation, phones, device)
        log.info(", ".join(f"{key} {value:.3f}" for key, value in scores.items()))
        return
    corpus = Corpus.of(clips, statistics, network.config.window_lead)
    content.train(settings, device, network, corpus, validation, phones)


if __name__ == "__main__":
    sys.exit(main())
