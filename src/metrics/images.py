"""Evaluation of renderers: frames rendered from the ground truth's landmarks.

Each renderer gets a frame of a held-out clip as its portrait and the landmarks tracked in the clip,
so that only the step from landmarks to frames is measured. The ground truth's own frames show the
best values that the metrics can have.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from src.command_line import progress
from src.data.clips import face_detected
from src.face.detection import track_landmarks
from src.metrics.clips import held_out_clips
from src.metrics.image_quality import ImageRun
from src.metrics.registry import TRUTH, Case, finite_mean, measure
from src.metrics.report import Report, rows_of_each
from src.render.renderer import RENDERERS, make_renderer

if TYPE_CHECKING:
    from src.animate import Models
    from src.metrics.settings import EvaluationSettings

RUN = 3
"""Consecutive frames that are measured: flicker shows in three."""


def run_frames(landmarks: np.ndarray, every: int) -> list[int]:
    """Indices of the frames to be measured, in runs of `RUN` that show a face throughout.

    Args:
        landmarks: (T, 68, 3) of a clip, NaN where no face was found.
        every: frames from the start of a run to that of the next, at least `RUN`.
    """
    starts = np.arange(0, len(landmarks) - RUN + 1, max(RUN, every))
    indices = starts[:, None] + np.arange(RUN)
    return indices[face_detected(landmarks)[indices].all(1)].ravel().tolist()


def evaluate_images(
    settings: EvaluationSettings, models: Models, renderer: str, report: Report
) -> None:
    """Evaluate renderers on the clips of held-out speakers.

    Args:
        renderer: key of `RENDERERS`, "auto" for all of them.

    Raises:
        InputError: as for `held_out_clips`, or a video has too few frames.
    """
    clips = list(held_out_clips(settings, lambda c: run_frames(c["landmarks"], settings.every)))
    cases: dict[str, Case] = {}
    for clip in progress(clips, len(clips), "clips to evaluate"):
        indices = run_frames(clip.landmarks, settings.every)
        landmarks = clip.landmarks[indices]
        portrait, still = clip.portrait()
        case = cases[f"{clip.name}, {len(indices)} frames"] = {}
        for name in (*(RENDERERS if renderer == "auto" else (renderer,)), TRUTH):
            frames = clip.frames_at(indices)
            if name == TRUTH:
                pairs = ((frame, frame) for frame in frames)
            else:
                network = models.image_translation
                painter = make_renderer(name, portrait, still, network, models.device)
                adapted = np.stack([painter.adapt_landmarks(face) for face in landmarks])
                pairs = zip(frames, painter.frames(adapted), strict=True)
            case[name] = compare(pairs, landmarks)
    report.add_cases("images", "Means over the clips", cases, "images")
    report.add_table("Each clip", rows_of_each(cases), "images")


def compare(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]], landmarks: np.ndarray
) -> dict[str, float]:
    """The image metrics of a clip, means over its frames.

    Args:
        pairs: reference and generated frame (H, W, 3), in runs of `RUN`.
        landmarks: (T, 68, 3) of the references.
    """
    values: dict[str, list[float]] = defaultdict(list)
    pairs, again = itertools.tee(pairs)
    found = track_landmarks(generated for _, generated in again)
    frames = zip(pairs, landmarks, found, strict=True)
    while run := list(itertools.islice(frames, RUN)):
        images, points, redetected = zip(*run, strict=True)
        case = ImageRun(images, np.array(points), np.array(redetected))
        for name, numbers in measure("images", case).items():
            values[name] += numbers
    return {name: finite_mean(numbers) for name, numbers in values.items()}
