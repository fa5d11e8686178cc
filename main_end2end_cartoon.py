"""Animate a cartoon puppet with a recording.

    python main_end2end_cartoon.py --jpg maestro --wav welcome_rms.wav
    python main_end2end_cartoon.py --jpg leo.png --jpg_bg none --wav speech.mp3 --out leo.mp4
    python main_end2end_cartoon.py --jpg my/drawing.png --jpg_bg my/room.jpg

The puppet is looked up as given, then in examples_cartoon/, with or without extension; the
recording as given, then in examples/. Without --wav, every .wav in examples/ is used in turn. The
video is <output_folder>/<puppet>_pred_fls_<recording>_audio_embed.mp4. main_gen_new_puppet.py
creates the puppet files of a drawing.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from src.command_line import OneLineParser, find_input, run_command
from src.jobs import JobSettings, NetworkSettings, check_outputs, plan, read_speakers
from src.motion.settings import MotionSettings
from src.options import add_options, from_options, option
from src.render.settings import RenderSettings

EXAMPLES_CARTOON = Path(__file__).resolve().parent / "examples_cartoon"


@dataclass(frozen=True, kw_only=True)
class PuppetJobSettings(JobSettings):
    """Inputs and outputs of this script."""

    jpg: str = option("maestro", "image of a puppet", metavar="PUPPET")
    jpg_bg: str | None = option(
        None,
        "an image of the puppet's size, or none for white (PUPPET_bg, else white)",
        metavar="BACKGROUND",
    )
    inner_lip: bool = option(
        False, "not needed: the number of vertices decides whether the mesh has outer lips"
    )


# A puppet does not blink, has its own closed face, and is rendered as a mesh.
GROUPS = {
    "input and output": (PuppetJobSettings, None),
    "motion": (MotionSettings, ("amp_lip_x", "amp_lip_y", "amp_pos", "as_released")),
    "video": (RenderSettings, ("fps",)),
    "networks (where the published checkpoints are absent, the embedded ones run)": (
        NetworkSettings,
        ("device", "autovc", "speaker", "content"),
    ),
}


def main(arguments: list[str] | None = None) -> int:
    parser = OneLineParser(description=__doc__)
    for title, (settings, only) in GROUPS.items():
        add_options(parser.add_argument_group(title), settings, only)
    return run_command(run, parser.parse_args(arguments))


def run(options: argparse.Namespace) -> None:
    from src.io.image import IMAGE_SUFFIXES
    from src.puppets.files import find_background, read_background, read_puppet

    settings, motion, render, networks = (
        from_options(options, kind) for kind, _ in GROUPS.values()
    )
    jpg = find_input(settings.jpg, EXAMPLES_CARTOON, "puppet", ("", *IMAGE_SUFFIXES))
    checkpoints = networks.checkpoints()
    jobs = plan(settings, jpg, EXAMPLES_CARTOON)
    outputs = (out for outs in jobs.values() for out in outs.values())
    check_outputs([jpg, *jobs, *checkpoints.values()], outputs)

    # Everything above takes little time; from here on the large packages are needed.
    from src.animate import animate, load_models, read_speech

    speakers = read_speakers(settings.reuse_train_emb_list)
    puppet = read_puppet(jpg)
    path = find_background(jpg)
    if settings.jpg_bg == "none":
        path = None
    elif settings.jpg_bg is not None:
        path = find_input(settings.jpg_bg, EXAMPLES_CARTOON, "background")
    background = None if path is None else read_background(path, puppet)
    models = load_models(checkpoints, renderer="warp", device=networks.device)
    for recording, outs in jobs.items():
        speech = read_speech(recording, models)
        for speaker_id, out in outs.items():
            animate(
                puppet,
                speech,
                models,
                motion,
                render,
                background=background,
                speaker_embedding=speakers.get(speaker_id),
            ).write(out)


if __name__ == "__main__":
    sys.exit(main())
