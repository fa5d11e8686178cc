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
from src.device import DeviceSettings
from src.jobs import (
    CheckpointSettings,
    JobSettings,
    analysed,
    check_outputs,
    plan,
    read_speakers,
)
from src.motion.settings import MotionSettings
from src.options import add_options, from_options, option
from src.render.settings import RenderSettings

EXAMPLES_CARTOON = Path(__file__).resolve().parent / "examples_cartoon"
NO_BACKGROUND = "none"


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
        False, "the mesh has no outer lips; told from the triangles, given or not"
    )


# What a puppet does not have: blinks, a mouth to be closed, a renderer to choose.
GROUPS = {
    "input and output": (PuppetJobSettings, None),
    "motion": (MotionSettings, ("amp_lip_x", "amp_lip_y", "amp_pos", "as_released")),
    "video": (RenderSettings, ("fps",)),
    "networks": (DeviceSettings, None),
    "checkpoints (where the published ones are absent, the embedded ones run)": (
        CheckpointSettings,
        None,
    ),
}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = OneLineParser(description=__doc__)
    for title, (settings, only) in GROUPS.items():
        add_options(parser.add_argument_group(title), settings, only)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    return run_command(run, parse(arguments))


def run(options: argparse.Namespace) -> None:
    from src.puppets.files import find_background, find_image, read_background, read_puppet

    settings, motion, render, device, checkpoints = (
        from_options(options, kind) for kind, _ in GROUPS.values()
    )
    jpg = find_image(settings.jpg, EXAMPLES_CARTOON)
    paths = checkpoints.paths()
    jobs = plan(settings, jpg, EXAMPLES_CARTOON)
    inputs = [jpg, *(job.recording for job in jobs), *paths.values()]
    check_outputs(inputs, [job.out for job in jobs])

    # Everything above takes no time; from here on the large packages are needed.
    from src.animate import animate, load_models
    from src.speech.features import read_recording

    speakers = read_speakers(settings.reuse_train_emb_list)
    puppet = read_puppet(jpg, settings.inner_lip)
    background = find_background(jpg)
    if settings.jpg_bg == NO_BACKGROUND:
        background = None
    elif settings.jpg_bg is not None:
        background = find_input(settings.jpg_bg, EXAMPLES_CARTOON, "background")
    if background is not None:
        background = read_background(background, puppet)
    first = read_recording(jobs[0].recording)
    models = load_models(paths, renderer="warp", device=device.device)
    for job, speech in analysed(jobs, first, models):
        animate(
            puppet,
            speech,
            models,
            motion,
            render,
            background=background,
            speaker_embedding=speakers[job.speaker_id],
        ).write(job.out)


if __name__ == "__main__":
    sys.exit(main())
