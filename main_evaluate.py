"""Judge landmarks by the paper's measures, or finished videos by what is seen in them.

    python main_evaluate.py --root_dir ROOT --name NAME [NAME ...]
    python main_evaluate.py --root_dir ROOT --load_a2l_C_name FILE --load_a2l_G_name FILE
    python main_evaluate.py --root_dir ROOT --videos DIR [DIR ...]
    python main_evaluate.py --root_dir ROOT --videos DIR --measure pictures [--renderer unet]

ROOT is what main_prepare_data.py has filled.

--measure landmarks (without --videos): D-LL, D-VL, D-A, D-L, D-V, D-Rot, D-Pos of the test split,
aperture correlation and open/shut AUC, for the networks as they are (network) and with the factors
of a video (played), beside three references that are fitted to the training split: the static
face, a gap that follows the loudness, and the mean of the training speakers. How far and fast the
head goes beside the true one, and whether one person's voices move it alike. Lips come from the
content branch's dump, heads from the speaker-aware branch's. NAME is a run: ROOT/ckpt/NAME/
ckpt_best.pth or else its newest ckpt_*.pth takes the place of the network of its kind (AutoVC,
content or speaker-aware), so several runs can be named; other networks are those of
main_end2end.py. Writes landmarks.md, .json and .png to ROOT/log/NAME or --out_dir.

--measure videos (with --videos DIR, which holds the videos that were tracked): people and voices
kept out of training are rendered by main_end2end.py at 25 frames a second, and the face is found
again in the frames:

  aperture correlation   a frame and the sound of each clip; inner-lip gap over eye distance
                         against the clip's own, best lag within 2 frames, mean over clips
  open/shut AUC          speech with phone times; probability that the widest gap in an open vowel
                         exceeds the least gap in a p, b or m, over all sentences

Beside them the same for the landmarks before rendering (landmarks), for the log RMS of the sound
taken as the gap (loudness) and, with --ceiling, for the warp renderer given the true motion
(ceiling). Options that are not listed here are handed on to main_end2end.py. Videos in --out_dir
(ROOT/evaluation) are kept and used again as long as options, weights, code, picture and sound are
the same.

--measure pictures (with --videos): from one frame and the true landmarks of each clip, frames by
both renderers or the one that --renderer says, three in a row every so often: PSNR and SSIM of the
face's square, PSNR and sharpness of the mouth's, distance of the lips found again, and flicker.
Writes pictures.md and pictures.json to --out_dir (ROOT/evaluation).
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

from src.command_line import OneLineParser, find_input, progress, run_command
from src.errors import InputError
from src.motion.settings import MotionSettings
from src.options import between

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE / "examples"
CHECKPOINTS = EXAMPLES / "ckpt"
# Its lips are shut, so that a gap which is found in a p, b or m was put there.
PORTRAIT = EXAMPLES / "grace_hopper.jpg"
# Set by this script for every video, so they cannot be handed on.
TAKEN = ("--jpg", "--wav", "--out", "--output_folder", "--fps", "--save_intermediates")
TAKEN += ("--landmarks", "--landmarks_only", "--show_landmarks")
NETWORKS = {"autovc": "AUTOVC", "content": "a2l_C", "speaker": "a2l_G"}
FACTORS = ("amp_lip_x", "amp_lip_y", "amp_pos")


def parse(arguments: list[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    """This script's options, and those that main_end2end.py gets."""
    parser = OneLineParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    count = between(1, 10**6, int)
    add = parser.add_argument
    add("--root_dir", type=Path, required=True, help="folder with dump/, clips/ and synthetic/")
    add("--measure", choices=MEASURES, help="(videos where --videos is given, else landmarks)")
    add("--out_dir", type=Path, help="folder of what is written (see above)")
    add("--most_synthetic", type=count, default=30, help="sentences a voice (%(default)s)")
    for name, middle in NETWORKS.items():
        add(f"--load_{middle}_name", metavar="FILE", help=f"checkpoint of the {name} network")
    for name in FACTORS:
        default = getattr(MotionSettings(), name)
        add(
            f"--{name}",
            type=between(-math.inf, math.inf),
            metavar="X",
            help=f"as in main_end2end.py ({default:g})",
        )

    add = parser.add_argument_group("landmarks").add_argument
    add("--name", nargs="+", default=[], help="runs under ROOT/ckpt")
    splits = {"choices": ("test", "val"), "default": ["test"]}
    add("--split", nargs="+", **splits, help="one, or both together (default: test)")
    add("--dump_file_name", default="autovc_retrain_mel", help="lips (%(default)s)")
    add("--head_dump_file_name", default="speaker_aware", help="heads (%(default)s)")
    add("--threads", type=between(0, 1024, int), default=0, help="CPU threads, 0 for all (0)")
    add("--device", choices=("auto", "cuda", "cpu"), help="(auto)")

    add = parser.add_argument_group("videos").add_argument
    add("--videos", type=Path, nargs="*", default=[], help="folders of the videos of the clips")
    held_out = ["aoc", "german_anchor", "grid_d", "grid_i", "lp_d20"]
    add("--speakers", nargs="*", default=held_out, help=f"({' '.join(held_out)})")
    add("--voices", nargs="*", default=["slt"], help="synthetic voices (slt)")
    add("--portrait", type=Path, default=PORTRAIT, help=f"for the voices ({PORTRAIT.name})")
    add("--every", type=count, default=9, help="frames between those judged by pictures (9)")
    renderers = ("auto", "unet", "warp")
    add("--renderer", choices=renderers, help="as in main_end2end.py; pictures: only this one")
    add("--load_G_name", metavar="FILE", help="checkpoint of the image-translation network")
    add("--ceiling", action="store_true", help="also what renderer and detection allow at best")
    add("--fresh", action="store_true", help="render again what is there already")
    add("--json", type=Path, help="file that gets all figures")
    add("--jobs", type=count, default=1, help="videos rendered at a time (%(default)s)")

    options, handed_on = parser.parse_known_args(arguments)
    options.measure = options.measure or ("videos" if options.videos else "landmarks")
    if options.measure == "pictures" and not options.videos:
        parser.error("--measure pictures: needs --videos DIR")
    if options.measure != "videos" and handed_on:
        parser.error(f"unrecognized arguments: {' '.join(handed_on)}")
    for word in handed_on:
        if word.split("=")[0] in TAKEN:
            parser.error(f"{word}: set by this script for each video")
    if handed_on and not handed_on[0].startswith("-"):
        parser.error(f"unrecognized arguments: {handed_on[0]}")
    if options.measure == "videos":
        shared = (*(f"load_{middle}_name" for middle in NETWORKS.values()), *FACTORS, "device")
        shared += ("renderer", "load_G_name")
        values = {name: getattr(options, name) for name in shared}
        handed_on += [
            f"--{name}={as_text(value)}" for name, value in values.items() if value is not None
        ]
    return options, handed_on


def as_text(value: str | float) -> str:
    """An option's value as one would type it."""
    return value if isinstance(value, str) else f"{value:g}"


def main(arguments: list[str] | None = None) -> int:
    options, handed_on = parse(arguments)
    return run_command(lambda known: run(known, handed_on), options)


def run(options: argparse.Namespace, handed_on: list[str]) -> None:
    if not options.root_dir.is_dir():
        raise InputError(f"{options.root_dir}: no such folder")
    MEASURES[options.measure](options, handed_on)


def judge_landmarks(options: argparse.Namespace, _handed_on: list[str]) -> None:
    import torch

    from src.device import pick_device
    from src.io.files import check_writable
    from src.metrics import landmark_report
    from src.metrics.predictions import Factors, find_runs
    from src.models.loading import load_motion_models

    root = options.root_dir
    given = find_runs(root, options.name)
    for name, middle in NETWORKS.items():
        if path := getattr(options, f"load_{middle}_name"):
            if not Path(path).is_file():
                raise InputError(f"{path}: no such checkpoint")
            given[name] = Path(path)
    folder = options.out_dir or root / "log" / (options.name or ["evaluation"])[0]
    for suffix in ("md", "json", "png"):
        check_writable(folder / f"landmarks.{suffix}")
    if options.threads:
        torch.set_num_threads(options.threads)
    device = pick_device(options.device or "auto")
    networks = load_motion_models(CHECKPOINTS, given, device)
    factors = Factors(*(factor_of(options, name) for name in FACTORS))
    judged = landmark_report.judge(
        root,
        tuple(dict.fromkeys(options.split)),
        options.dump_file_name,
        options.head_dump_file_name,
        networks,
        factors,
        options.most_synthetic,
        device,
    )
    weights = ", ".join(map(str, given.values())) or "default weights"
    sys.stdout.write(landmark_report.write(judged, folder, weights, factors))


def factor_of(options: argparse.Namespace, name: str) -> float:
    """A factor on motion, as given or as a video has it by default."""
    given = getattr(options, name)
    return getattr(MotionSettings(), name) if given is None else given


def judge_videos(options: argparse.Namespace, handed_on: list[str]) -> None:
    from src.io.files import check_writable
    from src.io.image import flatten, read_image
    from src.metrics import cases as judged
    from src.metrics import rendering, video_report

    root = options.root_dir
    folder = options.out_dir or root / "evaluation"
    for path in filter(None, (folder / "any.mp4", options.json)):
        check_writable(path)
    cases = []
    if options.speakers:
        cases += judged.clip_cases(root, options.speakers, options.videos)
    if options.voices:
        portrait = flatten(read_image(options.portrait))
        cases += judged.speech_cases(root, options.voices, portrait, options.most_synthetic)
    if not cases:
        raise InputError("--speakers and --voices: both are empty, so there is nothing to judge")
    lips = judged.lips_from_phones(root) if options.ceiling and options.voices else None
    scores = list(
        rendering.scores_of(
            cases, folder, handed_on, options.fresh, options.jobs, options.ceiling, lips
        )
    )
    clips = [one for one in scores if one.correlations]
    speech = [one for one in scores if one.opened]
    sys.stdout.write(video_report.table(clips, speech))
    if options.json:
        video_report.write_json(options.json, clips, speech, handed_on)


def judge_pictures(options: argparse.Namespace, _handed_on: list[str]) -> None:
    import torch

    from src.data.dumps import replace_file
    from src.device import pick_device
    from src.io.files import check_writable
    from src.metrics import pictures
    from src.models.folding import for_inference
    from src.models.loading import load_image_translation
    from src.models.registry import find_image_translation

    root = options.root_dir
    folder = options.out_dir or root / "evaluation"
    outputs = {"pictures.md": pictures.markdown, "pictures.json": pictures.as_json}
    for name in outputs:
        check_writable(folder / name)
    if options.threads:
        torch.set_num_threads(options.threads)
    device = pick_device(options.device or "auto")
    renderers: dict[str, pictures.Renderer] = {"warp": pictures.warped}
    weights = None
    if options.renderer != "warp":
        given = options.load_G_name and find_input(options.load_G_name, EXAMPLES, "checkpoint")
        weights = find_image_translation(CHECKPOINTS, given, "unet")
        network = for_inference(load_image_translation(weights, device), device)
        renderers["unet"] = pictures.translated(network, device)
        if options.renderer == "unet":
            del renderers["warp"]
    clips = list(pictures.clips(root, options.speakers, options.videos, options.every))
    rows = []
    for clip in progress(clips, len(clips), "clips to judge"):
        rows += pictures.judge(clip, renderers)
    for name, contents in outputs.items():
        text = contents(rows, weights)
        replace_file(folder / name, lambda file, text=text: file.write(text.encode()))
    sys.stdout.write(pictures.markdown(rows, weights))


MEASURES = {"landmarks": judge_landmarks, "videos": judge_videos, "pictures": judge_pictures}


if __name__ == "__main__":
    sys.exit(main())
