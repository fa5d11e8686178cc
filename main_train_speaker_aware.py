"""Train the speaker-aware branch: speech and a speaker to head motion (paper, section 4.2).

    python main_train_speaker_aware.py --train --write --root_dir ROOT --name speaker_aware

Reads <root_dir>/dump/<dump_file_name>_{train,val}_{au,fl}.pickle and <root_dir>/dump/faces.npz,
which main_prepare_data.py writes; writes <root_dir>/ckpt/<name> and <root_dir>/log/<name>.
"""

from __future__ import annotations

import argparse
import logging
import sys

from src.command_line import run_command
from src.models.config import SpeakerConfig
from src.options import from_options
from src.training.settings import SpeakerAwareTraining, training_parser

SIZES = ("audio_size", "audio_layers", "feed_forward", "max_length", "window_lead")

log = logging.getLogger("src.main_train_speaker_aware")


def main(arguments: list[str] | None = None) -> int:
    parser = training_parser(__doc__, SpeakerAwareTraining, SpeakerConfig, SIZES)
    return run_command(run, parser.parse_args(arguments))


def run(options: argparse.Namespace) -> None:
    from src.io.checkpoint import read_checkpoint
    from src.models.loading import load_network, stored_statistics
    from src.models.speaker_aware import SpeakerBranch
    from src.training import loop, speaker_aware
    from src.training.corpus import read_corpora

    settings = from_options(options, SpeakerAwareTraining)
    device = loop.begin(settings)
    network, statistics = SpeakerBranch(from_options(options, SpeakerConfig)), None
    if path := settings.load_a2l_C_name:
        statistics = stored_statistics(read_checkpoint(path)[0], path)
    if path := settings.load_a2l_G_name:
        network = load_network("speaker", path).network
    corpus, validation = read_corpora(settings, network.config, statistics)
    if settings.train:
        speaker_aware.train(settings, device, network, corpus, validation)
    else:
        scores = speaker_aware.validate(network.to(device), validation, device)
        log.info("held out: %s", loop.described(scores))


if __name__ == "__main__":
    sys.exit(main())
