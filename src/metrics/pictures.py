"""How like the truth rendered pictures are: one frame and the true landmarks of a clip go in.

Both renderers get the same frame of a person kept out of training and the landmarks tracked in the
clip, so nothing is measured here but the step from landmarks to frames. A third row, the clip's own
frames, says what the measures themselves are worth.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from src.errors import InputError
from src.face.crop import FaceCrop, cut, face_crop
from src.face.topology import JAW, LIPS
from src.io.video import read_frames
from src.metrics import rendered
from src.metrics.aperture import MEASURE_RATE
from src.metrics.cases import find_video
from src.metrics.landmark_report import aligned, without_nan

if TYPE_CHECKING:
    import torch

    from src.models.image_translation import ResUnetGenerator

log = logging.getLogger(__name__)

RUN = 3
"""Frames in a row that are judged: what flickers is seen in three."""

MOUTH_SIDE = 96  # pixels to which the square round the mouth is brought
MOUTH_ROOM = 1.4  # side of that square over the mouth's width
TRUTH = "the clip itself"

MEASURES = {
    "psnr": ("PSNR, dB", 2),
    "ssim": ("SSIM", 4),
    "mouth_psnr": ("mouth PSNR, dB", 2),
    "lip_error": ("lips, % of jaw", 2),
    "sharpness": ("mouth sharpness", 2),
    "flicker": ("flicker", 2),
}
"""Key to heading and places behind the point.

psnr, ssim: of the face's square (`src.face.crop.face_crop` of the true landmarks) at 256 x 256.
mouth_psnr: of the square round the true lips. lip_error: mean distance of the 20 lip landmarks,
found again in the frames, from the true ones, in percent of the jaw's width. sharpness: variance of
the Laplacian of the mouth's square over the true one's (1: as sharp). flicker: mean absolute second
difference over time of the face's square, at one place, over the true one's (1: as restless).
"""


@dataclass(frozen=True)
class Clip:
    """A tracked clip of a person kept out of training."""

    name: str
    speaker: str
    video: Path
    track: np.ndarray  # (T, 68, 3) in pixels of the video at MEASURE_RATE
    source: int  # the frame that becomes the portrait
    judged: list[int]  # frames, in runs of RUN


@dataclass(frozen=True)
class Row:
    """The measures of one renderer on one clip."""

    clip: str
    speaker: str
    renderer: str
    frames: int
    measures: dict[str, float]


Renderer = Callable[[np.ndarray, np.ndarray, np.ndarray], Iterable[np.ndarray]]
"""(portrait, its landmarks (68, 3), landmarks (T, 68, 3)) to T frames, all in the same pixels."""


def clips(root: Path, speakers: list[str], videos: list[Path], every: int) -> Iterator[Clip]:
    """The tracked clips of some speakers.

    Args:
        every: frames from the start of a run to that of the next, at least RUN.

    Raises:
        InputError: a speaker has no clip, or a clip's video is missing.
    """
    missing = set(speakers)
    for path in sorted((root / "clips").glob("*.npz")):
        with np.load(path) as clip:
            speaker, track = str(clip["speaker"]), clip["landmarks"].astype(np.float64)
        if speaker not in speakers:
            continue
        seen = np.isfinite(track).all((1, 2))
        starts = range(0, len(track) - RUN + 1, max(RUN, every))
        judged = [n for s in starts if seen[s : s + RUN].all() for n in range(s, s + RUN)]
        if not judged:
            continue
        missing.discard(speaker)
        source = rendered.portrait_frame(track)
        yield Clip(path.stem, speaker, find_video(videos, path.stem), track, source, judged)
    if missing:
        raise InputError(f"{root / 'clips'}: no tracked clip of {' '.join(sorted(missing))}")


def warped(portrait: np.ndarray, still: np.ndarray, track: np.ndarray) -> Iterator[np.ndarray]:
    """The renderer without a network."""
    from src.render.warp.portrait import WarpRenderer

    return WarpRenderer(portrait, still).frames(track)


def translated(network: ResUnetGenerator, device: torch.device | str) -> Renderer:
    """The renderer of a network, painting or mending, as `main_end2end.py` uses it."""
    from src.render.unet import UNetRenderer

    def frames(portrait: np.ndarray, still: np.ndarray, track: np.ndarray) -> Iterator[np.ndarray]:
        renderer = UNetRenderer(portrait, still, network, device)
        return renderer.frames(np.stack([renderer.adapt_landmarks(face) for face in track]))

    return frames


def judge(clip: Clip, renderers: dict[str, Renderer]) -> list[Row]:
    """Render a clip from one of its frames with each renderer and measure what comes out.

    Raises:
        InputError: the video has fewer frames than were tracked.
    """
    portrait = next(frames_at(clip, [clip.source])).copy()
    track = clip.track[clip.judged]
    rows = []
    for name, render in {**renderers, TRUTH: None}.items():
        true = frames_at(clip, clip.judged)
        if render is None:
            pairs = ((frame, frame) for frame in true)
        else:
            made = render(portrait, clip.track[clip.source], track)
            pairs = zip(true, made, strict=True)
        measures = compare(pairs, track)
        rows.append(Row(clip.name, clip.speaker, name, len(track), measures))
    return rows


def frames_at(clip: Clip, wanted: list[int]) -> Iterator[np.ndarray]:
    """Some frames of a clip's video, in order."""
    indices = iter(wanted)
    index = next(indices)
    for number, frame in enumerate(read_frames(clip.video, MEASURE_RATE)):
        if number == index:
            yield frame
            index = next(indices, None)
            if index is None:
                return
    raise InputError(f"{clip.video}: has no frame {index}, though the tracked clip has")


def compare(pairs: Iterable[tuple[np.ndarray, np.ndarray]], track: np.ndarray) -> dict[str, float]:
    """The measures of `MEASURES`, means over frames.

    Args:
        pairs: true and made frame (H, W, 3), in runs of RUN.
        track: (T, 68, 3) true landmarks of those frames.
    """
    values: dict[str, list[float]] = {name: [] for name in MEASURES}

    def made_frames() -> Iterator[np.ndarray]:
        for first in range(0, len(track), RUN):
            place, run = face_crop(track[first + RUN // 2]), []
            for number in range(first, first + RUN):
                true, made = next(pairs)
                add_picture_measures(values, true, made, track[number])
                run.append([grey(cut(frame, place)) for frame in (true, made)])
                yield made
            restless = np.abs(np.diff(np.array(run, np.float32), n=2, axis=0)).mean((0, 2, 3))
            values["flicker"].append(float(restless[1] / max(restless[0], 1e-6)))

    pairs = iter(pairs)
    found = rendered.track_faces(made_frames())
    away = np.linalg.norm((found - track)[:, LIPS, :2], axis=-1).mean(-1)
    jaw = np.linalg.norm(track[:, JAW.stop - 1, :2] - track[:, JAW.start, :2], axis=-1)
    values["lip_error"] = list(100 * away / jaw)
    return {name: finite_mean(numbers) for name, numbers in values.items()}


def add_picture_measures(
    values: dict[str, list[float]], true: np.ndarray, made: np.ndarray, landmarks: np.ndarray
) -> None:
    """Append what one frame is like."""
    from skimage.metrics import structural_similarity

    square = face_crop(landmarks)
    true_face, made_face = cut(true, square), cut(made, square)
    values["psnr"].append(psnr(true_face, made_face))
    values["ssim"].append(structural_similarity(true_face, made_face, channel_axis=2))
    square = mouth_square(landmarks)
    true_mouth, made_mouth = cut(true, square, MOUTH_SIDE), cut(made, square, MOUTH_SIDE)
    values["mouth_psnr"].append(psnr(true_mouth, made_mouth))
    detail = [cv2.Laplacian(grey(mouth), cv2.CV_32F).var() for mouth in (true_mouth, made_mouth)]
    values["sharpness"].append(float(detail[1] / max(detail[0], 1e-6)))


def mouth_square(landmarks: np.ndarray) -> FaceCrop:
    """The square round the lips of landmarks (68, 2 or 3) in pixels."""
    lips = landmarks[LIPS, :2]
    least, most = lips.min(0), lips.max(0)
    size = MOUTH_ROOM * float((most - least).max())
    corner = (least + most) / 2 + 0.5 - size / 2
    return FaceCrop(float(corner[0]), float(corner[1]), size)


def grey(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)


def psnr(true: np.ndarray, made: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of 8-bit pictures; NaN of equal ones."""
    error = np.square(true.astype(np.float32) - made).mean()
    return float(10 * np.log10(255**2 / error)) if error > 0 else float("nan")


def finite_mean(numbers: list[float]) -> float:
    """Mean of what is not NaN (a face not found again, two equal pictures); NaN of nothing."""
    known = np.asarray(numbers, float)
    known = known[np.isfinite(known)]
    return float(known.mean()) if known.size else float("nan")


def means(rows: list[Row]) -> dict[str, dict[str, float]]:
    """Renderer to the mean over clips of each measure; every clip counts alike."""
    names = dict.fromkeys(row.renderer for row in rows)
    return {
        name: {
            key: finite_mean([row.measures[key] for row in rows if row.renderer == name])
            for key in MEASURES
        }
        for name in names
    }


def markdown(rows: list[Row], weights: Path | None) -> str:
    """All figures as Markdown tables, the means and then each clip.

    Args:
        weights: of the network, if one rendered.
    """
    heads = [heading for heading, _ in MEASURES.values()]
    lines = aligned(["renderer", *heads], [[n, *cells(m)] for n, m in means(rows).items()])
    lines += aligned(
        ["clip", "frames", "renderer", *heads],
        [[row.clip, str(row.frames), row.renderer, *cells(row.measures)] for row in rows],
    )
    return "\n".join([f"unet: {weights}", "", *lines] if weights else lines)


def cells(measures: dict[str, float]) -> list[str]:
    return [
        f"{measures[key]:.{places}f}" if np.isfinite(measures[key]) else "-"
        for key, (_, places) in MEASURES.items()
    ]


def as_json(rows: list[Row], weights: Path | None) -> str:
    """The same as JSON; NaN becomes null."""
    contents = {
        "weights": weights and str(weights),
        "means": means(rows),
        "clips": [vars(row) for row in rows],
    }
    return json.dumps(without_nan(contents), indent=1)
