"""Animate a portrait with a recording: a talking-head video.

    python main_end2end.py --jpg astronaut.jpg --wav welcome_slt.wav
    python main_end2end.py --jpg me.png --wav speech.mp3 --out talking.mp4
    python main_end2end.py --jpg me.png --amp_pos 0.8 --close_input_face_mouth --show_landmarks

Portrait and recording are looked up as given, then in examples/. Without --wav, every .wav in
examples/ is used in turn. The video is
<output_folder>/<portrait>_pred_fls_<recording>_audio_embed.mp4.
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from src.command_line import OneLineParser, find_input, run_command
from src.errors import InputError
from src.jobs import EXAMPLES, JobSettings, NetworkSettings, check_outputs, plan, read_speakers
from src.motion.settings import MotionSettings
from src.options import add_options, from_options, option
from src.render.settings import RenderSettings

log = logging.getLogger("src.main_end2end")


@dataclass(frozen=True, kw_only=True)
class PortraitJobSettings(JobSettings):
    """Inputs and outputs of this script."""

    landmarks: Path | None = option(
        None, "68 x 3 pixels, instead of detecting the face", metavar="FILE.npy"
    )
    landmarks_only: bool = option(False, "write the moving landmarks as .npy, no video")
    save_intermediates: Path | None = option(
        None, "write the arrays of every step", metavar="FILE.npz"
    )


GROUPS = {
    "input and output": PortraitJobSettings,
    "motion": MotionSettings,
    "video": RenderSettings,
    "networks (where the published checkpoints are absent, the embedded ones run)": NetworkSettings,
}


def main(arguments: list[str] | None = None) -> int:
    parser = OneLineParser(description=__doc__)
    for title, settings in GROUPS.items():
        add_options(parser.add_argument_group(title), settings)
    return run_command(run, parser.parse_args(arguments))


def run(options: argparse.Namespace) -> None:
    settings, motion, render, networks = (from_options(options, kind) for kind in GROUPS.values())
    jpg = find_input(settings.jpg, EXAMPLES, "image")
    checkpoints = networks.checkpoints()
    jobs = plan(settings, jpg, EXAMPLES, ".npy" if settings.landmarks_only else ".mp4")
    outputs = [out for outs in jobs.values() for out in outs.values()]
    if settings.save_intermediates and len(outputs) > 1:
        raise InputError("--save_intermediates names one file: give one --wav and one speaker")
    inputs = [jpg, *jobs, *checkpoints.values(), settings.landmarks]
    check_outputs(inputs, [*outputs, settings.save_intermediates])

    # Everything above takes no time; from here on the large packages are needed.
    import numpy as np

    from src.animate import animate, load_models, read_portrait, read_speech
    from src.io.files import atomic_write, write_arrays

    if settings.landmarks_only:
        render = replace(render, renderer="warp")
    speakers = read_speakers(settings.reuse_train_emb_list)
    portrait = read_portrait(jpg, motion, render, settings.landmarks)
    models = load_models(
        checkpoints,
        renderer=render.renderer,
        device=networks.device,
        optimise=not motion.as_released,
    )
    intermediates = {} if settings.save_intermediates else None
    for recording, outs in jobs.items():
        speech = read_speech(recording, models, intermediates)
        for speaker_id, out in outs.items():
            video = animate(
                portrait,
                speech,
                models,
                motion,
                render,
                speaker_embedding=speakers.get(speaker_id),
                intermediates=intermediates,
            )
            if settings.save_intermediates:
                write_arrays(settings.save_intermediates, **intermediates)
            if settings.landmarks_only:
                landmarks = portrait.to_file_pixels(video.landmarks)
                with atomic_write(out) as partial, partial.open("wb") as file:
                    np.save(file, landmarks.astype(np.float32))
                log.info("wrote %s", out)
            else:
                video.write(out)


if __name__ == "__main__":
    sys.exit(main())
