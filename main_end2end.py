"""Animate a portrait with a voice: a talking-head video.

    python main_end2end.py --jpg astronaut.jpg --wav welcome_slt.wav
    python main_end2end.py --jpg me.png --wav speech.mp3 --out talking.mp4
    python main_end2end.py --jpg me.png --amp_pos 0.8 --close_input_face_mouth --show_landmarks

Portrait and voice are looked up as given, then in examples/. Without --wav, every .wav in examples/
is used in turn. The video is <output_folder>/<portrait>_pred_fls_<voice>_audio_embed.mp4.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import logging
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from src import settings as defaults
from src.command_line import OneLineParser, find_input, progress, run_command
from src.errors import InputError
from src.face import detectors
from src.options import between

if TYPE_CHECKING:
    import numpy as np
    import torch

    from src.animate import Portrait
    from src.models.image_translation import ResUnetGenerator
    from src.models.loading import MotionModels
    from src.speech.features import Recording, SpeechFeatures

EXAMPLES = Path(__file__).resolve().parent / "examples"
CHECKPOINTS = EXAMPLES / "ckpt"
EMBEDDINGS = EXAMPLES / "dump" / "emb.pickle"
OWN_EMBEDDING = "audio_embed"  # what the release calls a voice's own speaker embedding

log = logging.getLogger("src.main_end2end")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    group = parser.add_argument_group("input and output")
    add = group.add_argument
    add("--jpg", default="astronaut.jpg", metavar="PORTRAIT", help="any picture (%(default)s)")
    add("--wav", metavar="VOICE", help="any sound (every .wav in examples/, one after the other)")
    add("--output_folder", metavar="FOLDER", help="where videos go (examples)")
    add("--out", metavar="FILE", help="the video itself, .mp4 (named after portrait and voice)")
    add("--landmarks", metavar="FILE.npy", help="68x3 pixels, instead of detecting the face")
    add("--landmarks_only", action="store_true", help="stop at moving landmarks, write a .npy")
    add("--save_intermediates", metavar="FILE.npz", help="write every array on the way")

    group = parser.add_argument_group("motion")
    add = group.add_argument
    add_amplitudes(add)
    add("--close_input_face_mouth", action="store_true", help="close the portrait's mouth first")
    add_speakers(add)
    add("--seed", type=between(0, 2**32 - 1, int), default=0, help="of the blinks (%(default)s)")
    add("--as_released", action="store_true", help="step for step as the published release")

    group = parser.add_argument_group("video")
    add = group.add_argument
    add("--fps", type=between(1, 240), help="frames a second (25; --as_released: 62.5)")
    add(
        "--max_size",
        type=between(64, 8192, int),
        default=defaults.LARGEST_SIDE,
        help="longest side (%(default)s)",
    )
    add("--show_landmarks", action="store_true", help="[portrait | result | landmarks] in one")
    add(
        "--renderer",
        choices=("auto", "unet", "warp"),
        default="auto",
        help="unet: the image-translation network, as published where that is, else the "
        "embedded one; warp: no network; auto: the one that looks best of those (%(default)s)",
    )
    add(
        "--landmark_detector",
        choices=detectors.CHOICES,
        default="auto",
        help="fan downloads its weights on first use; auto: fan where they are (%(default)s)",
    )
    add("--device", choices=("auto", "cuda", "cpu"), default="auto", help="(%(default)s)")

    add = add_audio_weights(parser)
    add("--load_G_name", metavar="FILE", help="(examples/ckpt/ckpt_116_i2i_comb.pth)")
    return parser.parse_args(arguments)


@dataclass(frozen=True)
class Job:
    """One video: a voice, whose motion, and the file to write."""

    voice: Path
    speaker: str
    out: Path


def add_amplitudes(add: Callable) -> None:
    """Options on how far things move; `add` is a group's `add_argument`, here and below."""
    for name, default, what in (
        ("--amp_lip_x", defaults.AMP_LIP_X, "lips to the sides"),
        ("--amp_lip_y", defaults.AMP_LIP_Y, "lips up and down"),
        ("--amp_pos", defaults.AMP_POS, "head and face"),
    ):
        add(name, type=between(-math.inf, math.inf), default=default, help=f"{what} (%(default)s)")


def add_speakers(add: Callable) -> None:
    """The option on whose motion it is."""
    add(
        "--reuse_train_emb_list",
        nargs="+",
        default=[],
        metavar="NAME",
        help="move like these speakers of examples/dump/emb.pickle, a video each (the voice's own)",
    )


def add_audio_weights(parser: argparse.ArgumentParser) -> Callable:
    """A group of options on the networks from voice to landmarks; returns its `add_argument`."""
    group = parser.add_argument_group(
        "weights", "the published files; where they are absent, the embedded weights run"
    )
    for option, file in (
        ("--load_AUTOVC_name", "ckpt_autovc.pth"),
        ("--load_a2l_G_name", "ckpt_speaker_branch.pth"),
        ("--load_a2l_C_name", "ckpt_content_branch.pth"),
    ):
        group.add_argument(option, metavar="FILE", help=f"(examples/ckpt/{file})")
    return group.add_argument


def main(arguments: list[str] | None = None) -> int:
    return run_command(run, parse(arguments))


def run(options: argparse.Namespace) -> None:
    jpg = find_input(options.jpg, EXAMPLES, "picture")
    given = given_checkpoints(options)
    jobs = plan(options, jpg, given)
    check_outputs(options, jpg, jobs, given)

    # Everything above takes no time; from here on the large packages are needed.
    from src.device import pick_device
    from src.models.loading import load_motion_models
    from src.speech.features import read_recording, speech_features

    device = pick_device(options.device)
    speakers = read_speakers(options.reuse_train_emb_list)
    # What is wrong with picture or voice is said before minutes go into the other.
    voice = read_recording(jobs[0].voice)
    portrait = read_portrait(jpg, options)
    translation = translation_checkpoint(options, given)
    audio_side = {name: path for name, path in given.items() if name != "translation"}
    networks = load_motion_models(CHECKPOINTS, audio_side, device)
    translator = load_translator(translation, device, exact=options.as_released)
    for path, group in itertools.groupby(jobs, key=lambda job: job.voice):
        voice = voice if path == jobs[0].voice else read_recording(path)
        keep: dict[str, np.ndarray] | None = {} if options.save_intermediates else None
        log.info("listening to %s (%.1f s)", path, voice.seconds)
        speech = speech_features(voice, networks, keep)
        for job in group:
            animate(
                job,
                portrait,
                voice,
                speech,
                networks,
                translator,
                options,
                device,
                speakers[job.speaker],
                keep,
            )


def given_checkpoints(options: argparse.Namespace) -> dict[str, Path]:
    """Network to the path that the user gave for it; InputError where one is absent."""
    named = {
        "autovc": options.load_AUTOVC_name,
        "content": options.load_a2l_C_name,
        "speaker": options.load_a2l_G_name,
        "translation": options.load_G_name,
    }
    return {
        network: find_input(name, EXAMPLES, "checkpoint")
        for network, name in named.items()
        if name is not None
    }


def plan(options: argparse.Namespace, jpg: Path, given: dict[str, Path]) -> list[Job]:
    """Which videos are to be made."""
    if options.wav is not None:
        voices = [find_input(options.wav, EXAMPLES, "sound")]
    else:
        voices = sorted(path for path in EXAMPLES.glob("*") if path.suffix.lower() == ".wav")
        if not voices:
            raise InputError(f"{EXAMPLES}: no .wav in it, so say which voice: --wav VOICE")
    names = options.reuse_train_emb_list or [OWN_EMBEDDING]
    if len(voices) * len(names) > 1:
        for option in ("out", "save_intermediates"):
            if getattr(options, option) is not None:
                raise InputError(
                    f"--{option} names one file, but {len(voices)} voices in the manner of "
                    f"{len(names)} speakers are to be animated: give one --wav"
                )
    suffix = ".npy" if options.landmarks_only else ".mp4"
    if options.out is not None:
        if Path(options.out).suffix.lower() != suffix:
            raise InputError(f"--out {options.out}: the name must end in {suffix}")
        return [Job(voices[0], names[0], Path(options.out))]
    folder = EXAMPLES if options.output_folder is None else Path(options.output_folder)
    return [
        Job(voice, name, folder / f"{jpg.stem}_pred_fls_{voice.stem}_{name}{suffix}")
        for voice in voices
        for name in names
    ]


def check_outputs(
    options: argparse.Namespace, jpg: Path, jobs: list[Job], given: dict[str, Path]
) -> None:
    """InputError where an output cannot be written, or would fall on an input or another one."""
    from src.io.files import check_writable

    inputs = [jpg, *(job.voice for job in jobs), *given.values()]
    if options.landmarks is not None:
        inputs.append(Path(options.landmarks))
    taken = {path.resolve() for path in inputs}
    outputs = [job.out for job in jobs]
    if options.save_intermediates is not None:
        outputs.append(Path(options.save_intermediates))
    for path in outputs:
        if path.resolve() in taken:
            raise InputError(f"{path}: would be written over an input or another output")
        taken.add(path.resolve())
        check_writable(path)


def read_speakers(names: list[str]) -> dict[str, np.ndarray | None]:
    """Speaker embeddings by name; None is a voice's own."""
    if not names:
        return {OWN_EMBEDDING: None}
    from src.models.loading import load_speaker_embeddings

    if not EMBEDDINGS.is_file():
        raise InputError(f"{EMBEDDINGS}: --reuse_train_emb_list needs this published file")
    embeddings = load_speaker_embeddings(EMBEDDINGS)
    for name in names:
        if name not in embeddings:
            some = ", ".join(sorted(embeddings)[:5])
            raise InputError(f"{EMBEDDINGS}: no speaker {name!r} in it; it has {some}, ...")
    return {name: embeddings[name] for name in names}


def read_portrait(jpg: Path, options: argparse.Namespace) -> Portrait:
    """The picture and its 68 points at the video's size."""
    from src.animate import prepare_portrait, read_landmarks
    from src.io.image import flatten, read_image

    picture = flatten(read_image(jpg))
    if options.landmarks is not None:
        landmarks = read_landmarks(Path(options.landmarks), picture)
    else:
        from src.face.detection import detect_landmarks

        log.info("finding the face in %s", jpg)
        landmarks = detect_landmarks(picture, options.landmark_detector, str(jpg))
    return prepare_portrait(picture, landmarks, options.max_size, as_released=options.as_released)


def translation_checkpoint(options: argparse.Namespace, given: dict[str, Path]) -> Path | None:
    """The image-translation checkpoint to render with, None for the warp alone."""
    from src.models.registry import find_image_translation

    if options.landmarks_only:
        return None
    return find_image_translation(CHECKPOINTS, given.get("translation"), options.renderer)


def load_translator(
    path: Path | None, device: torch.device, *, exact: bool
) -> ResUnetGenerator | None:
    """The image-translation network, where it is to render; made quick unless `exact`."""
    if path is None:
        return None
    from src.models.folding import for_inference
    from src.models.loading import load_image_translation

    network = load_image_translation(path, device)
    return network if exact else for_inference(network, device)


def animate(
    job: Job,
    portrait: Portrait,
    voice: Recording,
    speech: SpeechFeatures,
    networks: MotionModels,
    translator: ResUnetGenerator | None,
    options: argparse.Namespace,
    device: torch.device,
    speaker: np.ndarray | None,
    keep: dict[str, np.ndarray] | None,
) -> None:
    """Make one video, or one file of landmarks."""
    import numpy as np

    from src import animate as pipeline
    from src.face.crop import CROP_SIZE, FaceCrop, face_crop
    from src.face.geometry import close_mouth, slim_lips_widen_eyes
    from src.io import video
    from src.io.files import atomic_write
    from src.motion.settings import MotionSettings
    from src.options import from_options
    from src.render.landmark_image import landmark_image, side_by_side
    from src.speech.features import SHORTEST_RECORDING

    log.info("moving the face")
    crop = FaceCrop(0, 0, CROP_SIZE) if options.as_released else face_crop(portrait.landmarks)
    paints = translator is not None and not translator.config.mends
    by_crop = paints and not options.as_released
    face = crop.to_crop(portrait.landmarks) if by_crop else portrait.landmarks
    if options.close_input_face_mouth:
        face = close_mouth(face)
    # The painting network was trained on such faces; the warp takes a face as it is.
    if paints or options.as_released:
        face = slim_lips_widen_eyes(face)
    landmarks = pipeline.face_landmarks(
        speech,
        face,
        networks,
        from_options(options, MotionSettings),
        speaker=speaker,
        keep=keep,
    )
    if keep is not None:
        size = CROP_SIZE if by_crop else portrait.picture.shape[:2]
        keep["landmarks_in"] = portrait.landmarks
        keep["landmarks_closed_mouth"] = close_mouth(portrait.landmarks)
        keep["landmark_image_frame10"] = landmark_image(
            landmarks[min(10, len(landmarks) - 1)], size
        )
        with (
            atomic_write(options.save_intermediates) as partial,
            partial.open("wb") as file,
        ):
            np.savez_compressed(file, **keep)
        log.info("wrote %s", options.save_intermediates)

    if options.as_released:
        fps = options.fps or pipeline.FPS_AS_RELEASED
        seconds = len(landmarks) / pipeline.FPS_AS_RELEASED
    else:
        fps = options.fps or pipeline.FPS
        seconds = voice.seconds
    sampled = pipeline.sample_landmarks(landmarks, fps, pipeline.frame_count(seconds, fps))
    on_picture = crop.to_image(sampled) if by_crop else sampled
    if options.landmarks_only:
        with atomic_write(job.out) as partial, partial.open("wb") as file:
            np.save(file, portrait.to_file(on_picture).astype(np.float32))
    else:
        # Closed, so that its threads end with whatever ends the encoding.
        with contextlib.closing(
            pipeline.rendered_frames(portrait, on_picture, translator, crop, device)
        ) as made:
            frames = progress(made, len(sampled), "drawing frames")
            if options.show_landmarks:
                frames = side_by_side(
                    portrait.picture, frames, on_picture, on_white=options.as_released
                )
            video.write_video(job.out, frames, fps, job.voice, least_seconds=SHORTEST_RECORDING)
    log.info("wrote %s", job.out)


if __name__ == "__main__":
    sys.exit(main())
