"""Training of the content branch (paper, section 4.1): speech in, lip displacements out."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from src.data.dumps import Clip
from src.errors import InputError
from src.face.geometry import DEPTH_FACTOR, NORMALISED_JAW_WIDTH, central_lip_gap
from src.face.registration import static_face
from src.face.topology import LANDMARK_COUNT
from src.io.audio import FRAME_RATE
from src.metrics.aperture import MEASURE_RATE, aperture, aperture_correlation
from src.metrics.open_shut import open_shut_auc, phone_extremes
from src.models.content import ContentBranch
from src.motion.resampling import resample
from src.training import loop, parallel, runs
from src.training.animation import add_animation, side_by_side
from src.training.losses import (
    gap_correlation,
    laplacian_l1,
    lip_square,
    lip_weights,
    weighted_l1,
)
from src.training.sampling import clip_chances, noise, windows_of

EMA_DECAY = 0.99
OWN_FACE = 0.4  # share of the runs that see the clip's own static face, not somebody else's
FACE_NOISE = 0.01  # deviation added to static faces, normalised units
FACE_TURN = (0.15, 0.2, 0.1)  # deviation in radians of a portrait's nod, turn and tilt
LARGEST_NORM = 1.0  # of the gradient
PIECE = 512  # windows predicted at a time


@dataclass(frozen=True)
class Options:
    """What a run is made of."""

    segment_batch_size: int  # windows a step
    run_length: int  # of them taken from a clip at a time, at least 2
    learning_rate: float
    weight_decay: float
    l1_weight: float
    square_weight: float
    laplacian_weight: float
    motion_weight: float  # on differences of consecutive frames
    correlation_weight: float  # on 1 - correlation of the lip gap over a run
    mel_noise: float  # deviation of noise on standardised features
    speed_change: float  # part by which runs are played faster or slower at most
    shares: dict[str, float]  # of the batches, by prefix of the speaker's name
    even_clips: bool  # within a share, clips are drawn equally often, not by their length
    bfloat16: bool  # what the network computes in; losses and weights stay float32
    seed: int


@dataclass(frozen=True)
class Corpus:
    """Clips to draw windows from. Dumps stay as they are, which may be on the disk."""

    clips: list[Clip]
    static_faces: np.ndarray  # (C, 204), registered
    mean: np.ndarray  # (80,) of the features
    deviation: np.ndarray
    lead: int  # frames of a window before the frame that it speaks for

    @functools.cached_property
    def depth(self) -> np.ndarray:
        """(68,) mean depth of the faces, which is the standard face's that they are laid on."""
        return self.static_faces.reshape(-1, LANDMARK_COUNT, 3)[..., 2].mean(0)

    @staticmethod
    def of(clips: list[Clip], mean: np.ndarray, deviation: np.ndarray, lead: int) -> Corpus:
        """Find each clip's static face."""
        faces = np.empty((len(clips), 3 * LANDMARK_COUNT), np.float32)
        for face, clip in zip(faces, clips, strict=True):
            points = np.asarray(clip.landmarks, np.float32)
            face[:] = static_face(points.reshape(-1, LANDMARK_COUNT, 3)).reshape(-1)
        return Corpus(clips, faces, mean, deviation, lead)

    def windows(self, clip: int, first: int, end: int, rate: float = 1.0) -> np.ndarray:
        """(end - first, 18, 80) standardised, as a view; of the clip played so much faster."""
        features = self.clips[clip].features
        return windows_of(features, self.mean, self.deviation, self.lead, first, end, rate)

    def displacements(self, clip: int, first: int, end: int, rate: float = 1.0) -> np.ndarray:
        """float32 (end - first, 204) from the clip's static face."""
        times = first + rate * np.arange(end - first)
        points = resample(self.clips[clip].landmarks, times).astype(np.float32)
        return points - self.static_faces[clip]


def statistics(clips: list[Clip]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation (80,) of the features of all clips."""
    count = sum(len(clip.features) for clip in clips)
    mean = sum(clip.features.sum(0, dtype=np.float64) for clip in clips) / count
    square = sum(np.square(clip.features - mean).sum(0, dtype=np.float64) for clip in clips)
    return mean.astype(np.float32), np.sqrt(square / count + 1e-8).astype(np.float32)


def as_portraits(faces: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Static faces as the network meets a portrait's: ``normalise`` of many faces at once.

    Args:
        faces: (N, 68, 3) in any pose.
        depth: (68,) of the standard face.

    Returns:
        float32 (N, 204).
    """
    left, right = faces[:, :1], faces[:, 16:17]
    scale = NORMALISED_JAW_WIDTH / (right[..., :1] - left[..., :1])
    portraits = scale * (faces - 0.5 * (left + right))
    portraits[..., 2] = DEPTH_FACTOR * depth
    return portraits.reshape(len(faces), -1).astype(np.float32)


def turned(faces: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Faces (N, 68, 3) turned at random by about ``FACE_TURN``: portraits are seldom frontal."""
    turns = rng.standard_normal((len(faces), 3)) * FACE_TURN
    return faces @ Rotation.from_rotvec(turns).as_matrix()


def batch(
    corpus: Corpus,
    chances: np.ndarray,
    rng: np.random.Generator,
    size: int,
    run_length: int,
    mel_noise: float = 0.0,
    speed_change: float = 0.0,
) -> loop.Batch:
    """This process's part of a batch of ``size`` windows in runs of ``run_length``.

    Args:
        speed_change: each run is played up to so much faster or slower.

    Returns:
        Windows (N, 18, 80), static faces (N, 204) and displacements (N, 204).
    """
    chosen = rng.choice(len(chances), size // run_length, p=chances)
    pieces, seen = [], []
    for clip in chosen:
        rate = 1 + rng.uniform(-speed_change, speed_change) if speed_change else 1.0
        room = len(corpus.clips[clip].features) - reach(run_length, rate) + 1
        first = int(rng.integers(0, room))
        pieces.append((clip, first, first + run_length, rate))
        seen.append(clip if rng.random() < OWN_FACE else rng.integers(len(corpus.static_faces)))
    faces = corpus.static_faces[seen].reshape(-1, LANDMARK_COUNT, 3)
    portraits = as_portraits(turned(faces, rng), corpus.depth)
    face = np.repeat(portraits, run_length, axis=0)
    face = face + FACE_NOISE * rng.standard_normal(face.shape, dtype=np.float32)
    mine = parallel.own(len(chosen))
    pieces = pieces[mine]
    heard = np.stack([corpus.windows(*piece) for piece in pieces])
    if mel_noise:
        heard += mel_noise * noise(rng.integers(2**63, size=len(chosen))[mine], heard.shape[1:])
    moved = [corpus.displacements(*piece) for piece in pieces]
    return loop.Batch(
        (
            torch.from_numpy(heard.reshape(-1, *heard.shape[2:])),
            torch.from_numpy(face[mine.start * run_length : mine.stop * run_length]),
            torch.from_numpy(np.concatenate(moved)),
        ),
        [corpus.clips[clip].name for clip, *_ in pieces],
    )


def reach(run_length: int, rate: float) -> int:
    """Frames of a clip that a run is made of which plays it at a rate."""
    return math.ceil((run_length - 1) * rate) + 1


def losses(
    made: torch.Tensor, true: torch.Tensor, face: torch.Tensor, options: Options
) -> dict[str, torch.Tensor]:
    """The losses, each by its weight, of displacements (N, 204) that come in runs."""
    runs_made = made.unflatten(0, (-1, options.run_length))
    runs_true = true.unflatten(0, (-1, options.run_length))
    steps = runs_made.diff(dim=1) - runs_true.diff(dim=1)
    weights = lip_weights(face + true)
    parts = {
        "l1": options.l1_weight * weighted_l1(made, true, weights),
        "square": options.square_weight * lip_square(made, true),
        "laplacian": options.laplacian_weight * laplacian_l1(made, true),
        "motion": options.motion_weight * steps.abs().mean(),
    }
    if options.correlation_weight:
        parts["correlation"] = options.correlation_weight * gap_correlation(runs_made, runs_true)
    return parts


def train(
    run: runs.Run,
    network: ContentBranch,
    corpus: Corpus,
    validation: Corpus,
    phones: dict[str, list[tuple[str, float, float]]],
    options: Options,
    statistics_: tuple[np.ndarray, np.ndarray],
) -> loop.Report:
    """Train; the checkpoints hold the moving average of the weights as ``model_g_face_id``.

    Args:
        phones: phone times of those validation clips that are synthetic, by name.
        statistics_: mean and deviation of the features, stored with the weights.

    Raises:
        InputError: as ``loop.train``, or a batch has no room for a run.
    """
    size, run_length = options.segment_batch_size, options.run_length
    if run_length > size:
        raise InputError(f"--run_length {run_length}: longer than a batch of {size} windows")
    longest = reach(run_length, 1 + options.speed_change)
    chances = clip_chances(corpus.clips, options.shares, longest, options.even_clips)
    network.to(run.device)
    average = loop.moving_average(network, EMA_DECAY)
    optimizer = torch.optim.AdamW(
        network.parameters(), options.learning_rate, weight_decay=options.weight_decay
    )
    learner = loop.Learner(network, optimizer, options.learning_rate, LARGEST_NORM, average)
    rng = np.random.default_rng(options.seed)

    def draw() -> loop.Batch:
        return batch(
            corpus, chances, rng, size, run_length, options.mel_noise, options.speed_change
        )

    def step(
        _done: int, heard: torch.Tensor, face: torch.Tensor, true: torch.Tensor
    ) -> Iterator[tuple[loop.Learner, dict[str, torch.Tensor]]]:
        with torch.autocast(run.device.type, torch.bfloat16, enabled=options.bfloat16):
            made = network(heard, face)
        yield learner, losses(made.float(), true, face, options)

    def show(writer: Any, done: int) -> None:
        frames = true_and_made(average.module, validation, 0, run.device)
        add_animation(writer, "held_out/true_and_made", frames, done)

    return loop.train(
        run,
        [learner],
        draw,
        {"rng": rng},
        step,
        lambda: validate(average.module, validation, phones, run.device),
        keep={
            "model_g_face_id": average.module,
            "network": network,
            "average": average,
            "opt": optimizer,
        },
        extra={
            "config": network.config,
            "mel_mean": torch.from_numpy(statistics_[0]),
            "mel_std": torch.from_numpy(statistics_[1]),
        },
        score=lambda scores: float(np.nansum([scores["correlation"], scores["auc"]])),
        show=show,
    )


def predict(
    network: ContentBranch, corpus: Corpus, clip: int, face: np.ndarray, device: torch.device
) -> np.ndarray:
    """Displacements (T, 204) of all windows of a clip for a face (204,); leaves it in eval."""
    network.eval()
    static = torch.from_numpy(face)[None].to(device)
    frames = len(corpus.clips[clip].features)
    pieces = []
    with torch.inference_mode():
        for first in range(0, frames, PIECE):
            heard = corpus.windows(clip, first, min(frames, first + PIECE))
            pieces.append(network(torch.from_numpy(heard.copy()).to(device), static).cpu().numpy())
    return np.concatenate(pieces)


def true_and_made(
    network: ContentBranch, corpus: Corpus, clip: int, device: torch.device
) -> np.ndarray:
    """Moving picture of a clip's true face beside what the network makes of its static face."""
    face = corpus.static_faces[clip]
    portrait = as_portraits(face.reshape(1, LANDMARK_COUNT, 3), corpus.depth)[0]
    made = face + predict(network, corpus, clip, portrait, device)
    return side_by_side(corpus.clips[clip].landmarks, made)


def validate(
    network: ContentBranch,
    corpus: Corpus,
    phones: dict[str, list[tuple[str, float, float]]],
    device: torch.device,
) -> dict[str, float]:
    """Mean aperture correlation on real clips and open/shut AUC on synthetic ones, held out."""
    correlations, opened, shut = [], [], []
    thinning = np.arange(0, 10**6) * FRAME_RATE / MEASURE_RATE
    portraits = as_portraits(corpus.static_faces.reshape(-1, LANDMARK_COUNT, 3), corpus.depth)
    for index, (clip, portrait) in enumerate(zip(corpus.clips, portraits, strict=True)):
        made = predict(network, corpus, index, portrait, device)
        # A signed gap: lips that cross count as more shut than lips that touch.
        signed = central_lip_gap(made.reshape(-1, LANDMARK_COUNT, 3))
        name = clip.name.split("/")[-1].split("+")[0]
        if name in phones:
            wide, least = phone_extremes(signed, FRAME_RATE, phones[name])
            opened += wide
            shut += least
        else:
            known = aperture(np.reshape(clip.landmarks, (-1, LANDMARK_COUNT, 3)))
            frames = thinning[thinning < len(signed) - 1].astype(int)
            correlations.append(aperture_correlation(signed[frames], known[frames]))
    return {
        "correlation": float(np.nanmean(correlations)) if correlations else float("nan"),
        "auc": open_shut_auc(opened, shut),
    }
