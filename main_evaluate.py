"""Evaluate predicted landmarks by the paper's metrics, or whole videos, or renderers.

    python main_evaluate.py --root_dir ROOT --name NAME [NAME ...]
    python main_evaluate.py --root_dir ROOT --load_a2l_C_name FILE --load_a2l_G_name FILE
    python main_evaluate.py --root_dir ROOT --videos DIR [DIR ...]
    python main_evaluate.py --root_dir ROOT --videos DIR --measure images [--renderer unet]

ROOT is what main_prepare_data.py has filled; DIR holds the videos that were tracked. The report is
printed, and written to --out_dir as Markdown and JSON.

--measure landmarks (without --videos): D-LL, D-VL, D-A, D-L, D-V, D-Rot, D-Pos of the test split,
aperture correlation and open/shut AUC, and the extent of head motion, for the networks' output
(network) and for the landmarks of a video (animated), beside three baselines that are fitted to the
training split: the static face, a gap linear in the loudness, and the mean of the training
speakers. Lips come from the content branch's dump, heads from the speaker-aware branch's. NAME is a
training: ROOT/ckpt/NAME/ckpt_best.pth, or else its newest ckpt_*.pth, replaces the network of its
kind. Written, with a plot, to ROOT/log/NAME.

--measure videos (with --videos): held-out speakers and voices are rendered at 25 frames per second,
and the face is found again in the frames. Aperture correlation: a frame and the audio of each clip;
inner-lip gap over eye distance against the clip's own, best lag within 2 frames. Open/shut AUC:
speech with phone times; probability that the largest gap in an open vowel exceeds the smallest gap
in a p, b or m. Beside them the same for the landmarks before rendering (landmarks), for the log RMS
of the audio taken as the gap (loudness) and, with --ceiling, for the warp renderer given the ground
truth's motion (ceiling). Videos in --out_dir (ROOT/evaluation) are used again as long as settings,
weights, code, portrait and audio are the same.

--measure images (with --videos): from one frame and the ground truth's landmarks of each clip,
frames by all renderers or the one of --renderer, three in a row every so often: PSNR and SSIM of
the face's square, PSNR and sharpness of the mouth's, distance of the lips found again, and flicker.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from src.command_line import OneLineParser, find_input, run_command
from src.errors import InputError
from src.metrics.settings import EvaluationSettings
from src.motion.settings import MotionSettings
from src.options import add_options, between, from_options
from src.render.settings import RenderSettings

EXAMPLES = Path(__file__).resolve().parent / "examples"
MEASURES = ("landmarks", "videos", "images")
NETWORKS = {"autovc": "AUTOVC", "content": "a2l_C", "speaker": "a2l_G", "translation": "G"}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    # pictures is the former name of images
    add("--measure", choices=(*MEASURES, "pictures"), help="(videos with --videos, else landmarks)")
    add("--out_dir", type=Path, help="folder of the report (see above)")
    add("--name", nargs="+", default=[], help="landmarks: trainings under ROOT/ckpt")
    add("--threads", type=between(0, 1024, int), default=0, help="CPU threads, 0 for all (0)")
    add("--device", choices=("auto", "cuda", "cpu"), default="auto", help="(auto)")
    for network, name in NETWORKS.items():
        add(f"--load_{name}_name", metavar="FILE", help=f"{network} checkpoint")
    add_options(parser.add_argument_group("data"), EvaluationSettings)
    add_options(parser.add_argument_group("motion"), MotionSettings)
    rendering = parser.add_argument_group("rendering")
    add_options(rendering, RenderSettings, ("max_size", "renderer", "landmark_detector"))
    options = parser.parse_args(arguments)
    options.measure = options.measure or ("videos" if options.videos else "landmarks")
    if options.measure == "pictures":
        options.measure = "images"
    if options.measure == "images" and not options.videos:
        parser.error("--measure images: needs --videos DIR")
    return options


def main(arguments: list[str] | None = None) -> int:
    return run_command(run, parse(arguments))


def run(options: argparse.Namespace) -> None:
    settings = from_options(options, EvaluationSettings)
    motion = from_options(options, MotionSettings)
    render = from_options(options, RenderSettings)
    root, measure = settings.root, options.measure
    if not root.is_dir():
        raise InputError(f"{root}: no such folder")
    given = {
        network: find_input(path, EXAMPLES, "checkpoint")
        for network, name in NETWORKS.items()
        if (path := getattr(options, f"load_{name}_name"))
    }

    import torch

    from src.animate import CHECKPOINTS, load_models
    from src.io.files import check_writable

    runs = "log/" + (options.name or ["evaluation"])[0] if measure == "landmarks" else "evaluation"
    folder = options.out_dir or root / runs
    check_writable(folder / f"{measure}.md")
    if options.threads:
        torch.set_num_threads(options.threads)
    if measure == "landmarks":
        from src.metrics.landmarks import evaluate_landmarks
        from src.metrics.predictions import find_runs

        given = find_runs(root, options.name) | given
        models = load_models(given, renderer="warp", device=options.device)
        names = ", ".join(map(str, given.values())) or "default weights"
        report = evaluate_landmarks(settings, models.motion, motion, names)
    elif measure == "videos":
        from src.metrics.videos import evaluate_videos

        exact = motion.as_released
        models = load_models(
            given, renderer=render.renderer, device=options.device, optimise=not exact
        )
        report = evaluate_videos(settings, models, motion, render, folder, list(given.values()))
    else:
        from src.metrics.images import evaluate_images
        from src.models.registry import find_image_translation
        from src.render.renderer import RENDERERS

        renderers = list(RENDERERS) if render.renderer == "auto" else [render.renderer]
        weights = None
        if renderers != ["warp"]:
            weights = find_image_translation(CHECKPOINTS, given.get("translation"), "unet")
            given["translation"] = weights
        models = load_models(given, renderer="unet" if weights else "warp", device=options.device)
        report = evaluate_images(settings, renderers, models, weights)
    report.write(folder, measure)
    sys.stdout.write(report.text)


if __name__ == "__main__":
    sys.exit(main())
