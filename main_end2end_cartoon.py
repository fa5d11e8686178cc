"""Animate a cartoon puppet with a voice.

    python main_end2end_cartoon.py --jpg maestro --wav welcome_rms.wav
    python main_end2end_cartoon.py --jpg leo.png --jpg_bg none --wav speech.mp3 --out leo.mp4
    python main_end2end_cartoon.py --jpg my/drawing.png --jpg_bg my/room.jpg

The puppet is looked up as given, then in examples_cartoon/, with or without extension; the voice as
given, then in examples/. Without --wav, every .wav in examples/ is used in turn. The video is
<output_folder>/<puppet>_pred_fls_<voice>_audio_embed.mp4. For a drawing of your own, let
main_gen_new_puppet.py make its puppet files first.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from main_end2end import (
    CHECKPOINTS,
    Job,
    add_amplitudes,
    add_audio_weights,
    add_speakers,
    check_outputs,
    given_checkpoints,
    plan,
    read_speakers,
)
from src.command_line import OneLineParser, find_input, progress, run_command
from src.options import between

if TYPE_CHECKING:
    import numpy as np
    import torch

    from src.models.loading import MotionModels
    from src.puppets.puppet import Puppet
    from src.render.mesh import MeshRenderer
    from src.speech.features import Recording, SpeechFeatures

EXAMPLES_CARTOON = Path(__file__).resolve().parent / "examples_cartoon"
NO_BACKGROUND = "none"

log = logging.getLogger("src.main_end2end_cartoon")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    group = parser.add_argument_group("input and output")
    add = group.add_argument
    add("--jpg", default="maestro", metavar="PUPPET", help="a puppet's drawing (%(default)s)")
    add(
        "--jpg_bg",
        metavar="BACKGROUND",
        help="a picture of the drawing's size, or none for white (PUPPET_bg, else white)",
    )
    add("--wav", metavar="VOICE", help="any sound (every .wav in examples/, one after the other)")
    add(
        "--inner_lip",
        action="store_true",
        help="the mesh has no outer lips; worked out from the triangles, given or not",
    )
    add("--output_folder", metavar="FOLDER", help="where videos go (examples_cartoon)")
    add("--out", metavar="FILE", help="the video itself, .mp4 (named after puppet and voice)")

    group = parser.add_argument_group("motion")
    add = group.add_argument
    add_amplitudes(add)
    add_speakers(add)
    add("--as_released", action="store_true", help="step for step as the published release")

    group = parser.add_argument_group("video")
    add = group.add_argument
    add("--fps", type=between(1, 240), help="frames a second (25; --as_released: 62.5)")
    add("--device", choices=("auto", "cuda", "cpu"), default="auto", help="(%(default)s)")

    add_audio_weights(parser)
    # What portraits have besides.
    parser.set_defaults(
        landmarks=None, landmarks_only=False, save_intermediates=None, load_G_name=None
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    return run_command(run, parse(arguments))


def run(options: argparse.Namespace) -> None:
    from src.puppets.files import find_image

    jpg = find_image(options.jpg, EXAMPLES_CARTOON)
    if options.output_folder is None:
        options.output_folder = str(EXAMPLES_CARTOON)
    given = given_checkpoints(options)
    jobs = plan(options, jpg, given)
    check_outputs(options, jpg, jobs, given)

    # Everything above takes no time; from here on the large packages are needed.
    from src.device import pick_device
    from src.models.loading import load_motion_models
    from src.puppets import motion, released
    from src.puppets.files import read_puppet
    from src.speech.features import read_recording, speech_features

    device = pick_device(options.device)
    speakers = read_speakers(options.reuse_train_emb_list)
    method = released if options.as_released else motion
    puppet = method.repaired(read_puppet(jpg, options.inner_lip))
    renderer = make_renderer(puppet, jpg, options.jpg_bg, device)
    voice = read_recording(jobs[0].voice)
    networks = load_motion_models(CHECKPOINTS, given, device)
    for path, group in itertools.groupby(jobs, key=lambda job: job.voice):
        voice = voice if path == jobs[0].voice else read_recording(path)
        log.info("listening to %s (%.1f s)", path, voice.seconds)
        speech = speech_features(voice, networks)
        for job in group:
            animate(
                job,
                puppet,
                renderer,
                voice,
                speech,
                networks,
                options,
                device,
                speakers[job.speaker],
            )


def make_renderer(
    puppet: Puppet, jpg: Path, background: str | None, device: torch.device
) -> MeshRenderer:
    """The renderer over the background asked for: a file, `none`, or the puppet's own."""
    from src.puppets.files import find_background, read_background
    from src.puppets.motion import renderer

    if background is None:
        path = find_background(jpg)
    elif background == NO_BACKGROUND:
        path = None
    else:
        path = find_input(background, EXAMPLES_CARTOON, "background")
    behind = None if path is None else read_background(path, puppet)
    # On the processor OpenCV is faster than PyTorch.
    return renderer(puppet, behind, device if device.type == "cuda" else None)


def animate(
    job: Job,
    puppet: Puppet,
    renderer: MeshRenderer,
    voice: Recording,
    speech: SpeechFeatures,
    networks: MotionModels,
    options: argparse.Namespace,
    device: torch.device,
    speaker: np.ndarray | None,
) -> None:
    """Make one video."""
    from src import animate as pipeline
    from src.io import video
    from src.motion.settings import MotionSettings
    from src.puppets import motion, released
    from src.speech.features import SHORTEST_RECORDING

    log.info("moving the puppet")
    method = released if options.as_released else motion
    predicted = pipeline.moving_face(
        speech,
        method.resting_face(puppet, networks.standard_face[:, 2]),
        networks,
        MotionSettings(
            amp_lip_x=options.amp_lip_x,
            amp_lip_y=method.opening_gain(puppet) * options.amp_lip_y,
            amp_pos=options.amp_pos,
            as_released=options.as_released,
        ),
        speaker=speaker,
    )
    landmarks = method.finish(predicted, puppet)
    if options.as_released:
        fps = options.fps or pipeline.FPS_AS_RELEASED
        seconds = len(landmarks) / pipeline.FPS_AS_RELEASED
    else:
        fps = options.fps or pipeline.FPS
        seconds = voice.seconds
    sampled = pipeline.sample_landmarks(landmarks, fps, pipeline.frame_count(seconds, fps))
    frames = progress(renderer.frames(sampled), len(sampled), "drawing frames")
    video.write_video(job.out, frames, fps, job.voice, least_seconds=SHORTEST_RECORDING)
    log.info("wrote %s", job.out)


if __name__ == "__main__":
    sys.exit(main())
