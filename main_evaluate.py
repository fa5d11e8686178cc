"""Evaluate predicted landmarks by the paper's metrics, or whole videos, or renderers.

    python main_evaluate.py --root_dir ROOT --name NAME [NAME ...]
    python main_evaluate.py --root_dir ROOT --load_a2l_C_name FILE --load_a2l_G_name FILE
    python main_evaluate.py --root_dir ROOT --videos DIR [DIR ...]
    python main_evaluate.py --root_dir ROOT --videos DIR --measure images [--renderer unet]

ROOT is what main_prepare_data.py has filled; DIR holds the videos that were tracked. NAME is a
training: ROOT/ckpt/NAME/ckpt_best.pth, or else ckpt_last.pth, replaces the network of its kind.
The report is printed, and written to --out_dir as Markdown and JSON: for landmarks to
ROOT/log/NAME, else to ROOT/evaluation.

landmarks: D-LL, D-VL, D-A, D-L, D-V, D-Rot, D-Pos, aperture correlation, open/shut AUC and the
extent of head motion, for the networks' output (network) and for the landmarks of a video
(animated), beside baselines that are fitted to the training split: the static face, a displacement
linear in the loudness, and the mean one. Lips come from the content branch's dump, heads from the
speaker-aware branch's.

videos: held-out speakers and voices are rendered, and the face is found again in the frames.
Aperture correlation: a frame and the audio of each clip; inner-lip gap over eye distance against
the clip's own, best lag within 2 frames. Open/shut AUC: speech with phone times; probability that
the largest gap in an open vowel exceeds the smallest gap in a p, b or m. Beside them the same for
the landmarks before rendering (landmarks), for the log RMS of the audio taken as the gap (loudness)
and, with --ceiling, for the warp renderer given the ground truth's motion (ceiling). Videos in
--out_dir are used again as long as settings, weights, code, portrait and audio are the same.

images: frames rendered from one frame and the ground truth's landmarks of each clip, three in a row
every so often: PSNR and SSIM of the face's square, PSNR and sharpness of the mouth's, distance of
the lips found again, and flicker.
"""

from __future__ import annotations

import argparse
import sys

from src.command_line import OneLineParser, run_command
from src.errors import InputError
from src.jobs import NetworkSettings
from src.metrics.settings import EvaluationSettings
from src.motion.settings import MotionSettings
from src.options import add_options, from_options
from src.render.settings import RenderSettings

GROUPS = {
    "data": (EvaluationSettings, None),
    "motion": (MotionSettings, None),
    "rendering": (RenderSettings, ("max_size", "renderer", "landmark_detector")),
    "networks": (NetworkSettings, None),
}
"""Title to settings, and those of them that are options here; all where None."""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = OneLineParser(description=__doc__)
    for title, (settings, only) in GROUPS.items():
        add_options(parser.add_argument_group(title), settings, only)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    return run_command(run, parse(arguments))


def run(options: argparse.Namespace) -> None:
    settings, motion, render, networks = (
        from_options(options, kind) for kind, _ in GROUPS.values()
    )
    root = settings.root
    if not root.is_dir():
        raise InputError(f"{root}: no such folder")
    measure = settings.measure or ("videos" if settings.videos else "landmarks")
    named = networks.checkpoints()

    import torch

    from src.animate import load_models
    from src.io.files import check_writable
    from src.metrics.images import evaluate_images
    from src.metrics.landmarks import evaluate_landmarks
    from src.metrics.predictions import find_runs
    from src.metrics.report import Report
    from src.metrics.videos import evaluate_videos

    log = f"log/{settings.names[0] if settings.names else 'evaluation'}"
    folder = settings.out_dir or root / (log if measure == "landmarks" else "evaluation")
    check_writable(folder / f"{measure}.md")
    if settings.threads:
        torch.set_num_threads(settings.threads)
    paths = find_runs(root, settings.names) | named
    renderer = "warp" if measure == "landmarks" else render.renderer
    if (measure, renderer) == ("images", "auto"):  # all renderers
        renderer = "unet"
    models = load_models(
        paths, renderer=renderer, device=networks.device, optimise=not motion.as_released
    )
    weights = ", ".join(map(str, paths.values())) or "default"
    report = Report({"weights": weights}, [f"Weights: {weights}"])
    if measure == "landmarks":
        evaluate_landmarks(settings, models.motion, motion, report)
    elif measure == "videos":
        evaluate_videos(settings, models, motion, render, folder, [*paths.values()], report)
    else:
        evaluate_images(settings, models, render.renderer, report)
    report.write(folder, measure)
    sys.stdout.write(report.text)


if __name__ == "__main__":
    sys.exit(main())
