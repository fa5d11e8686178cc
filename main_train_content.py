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
    from src.data import synthesis
    from src.models.content import ContentBranch
    from src.models.loading import load_network, stored_statistics
    from src.training import content, loop
    from src.training.corpus import read_corpora

    settings = from_options(options, ContentTraining)
    device = loop.begin(settings)
    network, statistics = ContentBranch(from_options(options, ContentConfig)), None
    if path := settings.load_a2l_C_name:
        network, contents, _ = load_network("content", path)
        if "mel_mean" in contents:  # not in the published checkpoint
            statistics = stored_statistics(contents, path)
    corpus, validation = read_corpora(settings, network.config, statistics)
    phones = synthesis.read_phones(settings.root_dir)
    if settings.train:
        content.train(settings, device, network, corpus, validation, phones)
    else:
        scores = content.validate(network.to(device), validation, phones, device)
        log.info("held out: %s", loop.described(scores))


if __name__ == "__main__":
    sys.exit(main())
