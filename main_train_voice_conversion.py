"""Train AutoVC: any voice becomes one voice, so that the content branch hears only words.

python main_prepare_data.py --root_dir ROOT --step voices --speech SPEECH
python main_train_voice_conversion.py --train --write --root_dir ROOT --name vc --held_out p225
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from src.command_line import run_command
from src.errors import InputError
from src.options import between
from src.training.options import training_parser

log = logging.getLogger("src.main_train_voice_conversion")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = training_parser(__doc__, "voice_conversion")
    add = parser.add_argument
    count, part = between(1, 10**9, int), between(0, 10**9)
    add("--load_AUTOVC_name", type=Path, help="start from the weights of this checkpoint")
    add("--held_out", nargs="*", default=[], help="speakers kept out of training")
    add("--steps", type=count, default=6000, help="optimizer steps (%(default)s)")
    add("--batch_size", type=count, default=16, help="crops of 128 frames a step (%(default)s)")
    add("--lr", type=part, default=1e-3, help="peak learning rate (%(default)s; paper: 1e-4)")
    add("--voice_change", type=between(0, 1), default=1.0, help="0 (paper) to 1 (%(default)s)")
    add("--code_weight", type=part, default=0.1, help="(%(default)s; paper: 1)")
    add("--dim_neck", type=count, default=16, help="code width a side (%(default)s)")
    # Speech is converted in multiples of 32 frames.
    add("--freq", type=int, choices=(1, 2, 4, 8, 16, 32), default=16, help="frames a code")
    add("--dim_pre", type=count, default=512, help="width of the encoder (%(default)s)")
    add("--dim_decoder", type=count, help="width of the decoder (default: dim_pre)")
    add("--dim_post", type=count, help="width of the post-net (default: dim_pre)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    return run_command(run, parse(arguments))


def run(options: argparse.Namespace) -> None:
    from src.data import dumps
    from src.models.autovc import AutoVC
    from src.models.config import AutoVCConfig
    from src.models.loading import load_network
    from src.training import runs, voice_conversion

    training = runs.begin(options)
    voices = dumps.read_voices(options.root_dir / "dump" / "voices.npz")
    unknown = set(options.held_out) - set(voices.speakers.tolist())
    if unknown:
        raise InputError(f"--held_out: no such speaker in the dump: {', '.join(sorted(unknown))}")
    if not options.held_out:
        raise InputError("--held_out: name speakers to validate on, which are not trained on")
    if not set(voices.speakers.tolist()) - set(options.held_out):
        raise InputError("--held_out: names every speaker of the dump, so none is left to train on")
    generator = AutoVC(
        AutoVCConfig(
            dim_neck=options.dim_neck,
            freq=options.freq,
            dim_pre=options.dim_pre,
            dim_decoder=options.dim_decoder,
            dim_post=options.dim_post,
        )
    )
    voice_conversion.quieten_postnet(generator)
    settings = voice_conversion.Options(
        batch_size=options.batch_size,
        learning_rate=options.lr,
        strength=options.voice_change,
        code_weight=options.code_weight,
        seed=options.seed,
    )
    if options.load_AUTOVC_name:
        generator = load_network("autovc", options.load_AUTOVC_name).network
    if not options.train:
        import numpy as np

        chosen = np.flatnonzero(np.isin(voices.speakers, options.held_out))
        generator.to(training.device)
        score = voice_conversion.validate(generator, voices, chosen, settings, training.device)
        log.info("held out %.5f", score)
        return
    voice_conversion.train(training, generator, voices, set(options.held_out), settings)


if __name__ == "__main__":
    sys.exit(main())
