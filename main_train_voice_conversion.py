"""Train AutoVC: it converts any voice to one voice, so that the content branch reads words only.

python main_prepare_data.py --root_dir ROOT --step voices --speech SPEECH
python main_train_voice_conversion.py --train --write --root_dir ROOT --name vc --held_out p225
"""

from __future__ import annotations

import argparse
import logging
import sys

from src.command_line import run_command
from src.errors import InputError
from src.models.config import AutoVCConfig
from src.options import from_options
from src.training.settings import VoiceConversionTraining, training_parser

SIZES = ("dim_neck", "freq", "dim_pre", "dim_decoder", "dim_post")

log = logging.getLogger("src.main_train_voice_conversion")


def main(arguments: list[str] | None = None) -> int:
    parser = training_parser(__doc__, VoiceConversionTraining, AutoVCConfig, SIZES)
    return run_command(run, parser.parse_args(arguments))


def run(options: argparse.Namespace) -> None:
    from src.data import dumps
    from src.models.autovc import AutoVC
    from src.models.loading import load_network
    from src.training import loop, voice_conversion

    settings = from_options(options, VoiceConversionTraining)
    device = loop.begin(settings)
    voices = dumps.read_voices(settings.root_dir)
    speakers, held_out = set(voices.speakers.tolist()), set(settings.held_out)
    if not held_out or not held_out < speakers:
        raise InputError(
            "--held_out: name speakers to validate on, neither unknown ones nor every speaker of "
            f"the dump: {', '.join(sorted(speakers))}"
        )
    generator = AutoVC(from_options(options, AutoVCConfig))
    voice_conversion.attenuate_postnet(generator)
    if path := settings.load_AUTOVC_name:
        generator = load_network("autovc", path).network
    if settings.train:
        voice_conversion.train(settings, device, generator, voices)
    else:
        scores = voice_conversion.validate(generator.to(device), voices, settings, device)
        log.info("held out: %s", loop.described(scores))


if __name__ == "__main__":
    sys.exit(main())
