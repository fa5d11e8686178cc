"""Evaluation of renderers: frames rendered from the ground truth's landmarks.

Each renderer gets a frame of a held-out clip as its portrait and the landmarks tracked in the clip,
so that only the step from landmarks to frames is measured. The ground truth's own frames show the
best values that the metrics can have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from src.command_line import progress
from src.face.detection import track_landmarks
from src.metrics.cases import ImageRun
from src.metrics.clips import TrackedClip, frames_at, held_out_clips, portrait_frame
from src.metrics.registry import finite_mean, measure, pool
from src.metrics.report import Report
from src.render.renderer import make_renderer

if TYPE_CHECKING:
    from src.animate import Models
    from src.metrics.settings import EvaluationSettings

RUN = 3
"""Consecutive frames that are measured: flicker shows in three."""

TRUTH = "ground truth"

_NO_FACE = np.full((68, 3), np.nan)


def run_frames(clip: TrackedClip, every: int) -> list[int]:
    """Indices of the frames to be measured, in runs of `RUN` that show a face throughout.

    Args:
        every: frames from the start of a run to that of the next, at least `RUN`.
    """
    detected = np.isfinite(clip.landmarks).all((1, 2))
    starts = range(0, len(detected) - RUN + 1, max(RUN, every))
    runs = (range(start, start + RUN) for start in starts)
    return [index for run in runs if detected[run.start : run.stop].all() for index in run]


def evaluate_images(
    settings: EvaluationSettings,
    renderers: Iterable[str],
    models: Models,
    weights: Path | None,
) -> Report:
    """Evaluate renderers on the clips of held-out speakers.

    Args:
        renderers: keys of `src.render.renderer.RENDERERS`.
        models: with the image-translation network, for the renderers that need it.
        weights: name the network in the report.

    Raises:
        InputError: there is no clip, a clip's video is missing or has too few frames.
    """
    clips = list(held_out_clips(settings, lambda clip: run_frames(clip, settings.every)))
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    figures, table = [], []
    for clip in progress(clips, len(clips), "clips to evaluate"):
        source = portrait_frame(clip.landmarks)
        indices = run_frames(clip, settings.every)
        landmarks = clip.landmarks[indices]
        portrait = next(frames_at(clip, [source])).copy()
        for name in (*renderers, TRUTH):
            reference = frames_at(clip, indices)
            if name == TRUTH:
                pairs = ((frame, frame) for frame in reference)
            else:
                still, network = clip.landmarks[source], models.image_translation
                renderer = make_renderer(name, portrait, still, network, models.device)
                adapted = np.stack([renderer.adapt_landmarks(face) for face in landmarks])
                pairs = zip(reference, renderer.frames(adapted), strict=True)
            values = compare(pairs, landmarks)
            rows[name].append(values)
            table.append(((clip.name, str(len(indices)), name), values))
            facts = {"clip": clip.name, "speaker": clip.speaker, "renderer": name}
            figures.append({**facts, "frames": len(indices), "metrics": values})
    means = {name: pool(values) for name, values in rows.items()}
    report = Report({"weights": weights and str(weights), "means": means, "clips": figures})
    if weights:
        report.paragraphs.append(f"unet: {weights}")
    report.add_table("Means over the clips", means.items(), (ImageRun,), ("renderer",))
    report.add_table("Each clip", table, (ImageRun,), ("clip", "frames", "renderer"))
    return report


def compare(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]], landmarks: np.ndarray
) -> dict[str, float]:
    """The image metrics of a clip, means over its frames.

    Args:
        pairs: reference and generated frame (H, W, 3), in runs of `RUN`.
        landmarks: (T, 68, 3) of the references.
    """
    values: dict[str, list[float]] = defaultdict(list)
    for run in image_runs(pairs, landmarks):
        for name, numbers in measure(run).items():
            values[name] += numbers
    return {name: finite_mean(numbers) for name, numbers in values.items()}


def image_runs(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]], landmarks: np.ndarray
) -> Iterator[ImageRun]:
    """Cut frames into runs, finding the face in the generated ones; arguments as for `compare`."""
    reference: list[np.ndarray] = []
    generated: list[np.ndarray] = []
    detected: list[np.ndarray] = []

    def frames() -> Iterator[np.ndarray]:
        for pair in pairs:
            reference.append(pair[0])
            generated.append(pair[1])
            yield pair[1]

    for number, points in enumerate(track_landmarks(frames()), 1):
        detected.append(_NO_FACE if points is None else points)
        if number % RUN == 0:
            track = landmarks[number - RUN : number]
            yield ImageRun(reference[:], generated[:], track, np.array(detected))
            for kept in (reference, generated, detected):
                kept.clear()
