"""Training of the content branch (paper, section 4.1): speech in, lip displacements out."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from src.audio import FRAME_RATE
from src.evaluation import measures
from src.features import standardise, windows
from src.landmarks.geometry import normalise
from src.landmarks.topology import LANDMARK_COUNT
from src.networks.content import ContentBranch
from src.training import loop, runs
from src.training.dumps import Clip
from src.training.faces import static_face
from src.training.losses import laplacian_l1, lip_square, lip_weights, weighted_l1
from src.training.sampling import clip_chances

RUN = 4  # consecutive windows taken from a clip at a time: short, so that a batch has many voices
EMA_DECAY = 0.99
OWN_FACE = 0.4  # share of the runs that see the clip's own static face, not somebody else's
FACE_NOISE = 0.01  # deviation added to static faces, normalised units
FACE_TURN = (0.15, 0.2, 0.1)  # deviation in radians of a portrait's nod, turn and tilt
LARGEST_NORM = 1.0  # of the gradient


@dataclass(frozen=True)
class Options:
    """What a run is made of."""

    segment_batch_size: int  # windows a step
    learning_rate: float
    weight_decay: float
    l1_weight: float
    square_weight: float
    laplacian_weight: float
    motion_weight: float  # on differences of consecutive frames
    mel_noise: float  # deviation of noise on standardised features
    shares: dict[str, float]  # of the batches, by prefix of the speaker's name
    seed: int


@dataclass(frozen=True)
class Corpus:
    """Clips ready to be cut into windows."""

    windows: list[np.ndarray]  # a (T, 18, 80) view each, of standardised features
    displacements: list[np.ndarray]  # (T, 204) from the static face
    static_faces: np.ndarray  # (C, 204), registered
    names: list[str]

    @functools.cached_property
    def depth(self) -> np.ndarray:
        """(68,) mean depth of the faces, which is the standard face's that they are laid on."""
        return self.static_faces.reshape(-1, LANDMARK_COUNT, 3)[..., 2].mean(0)

    @staticmethod
    def of(clips: list[Clip], mean: np.ndarray, deviation: np.ndarray, lead: int) -> Corpus:
        """Standardise, find each clip's static face and lay out the windows as views."""
        views, moves, faces = [], [], []
        for clip in clips:
            views.append(windows(standardise(clip.features, mean, deviation), lead))
            points = np.asarray(clip.landmarks, np.float32)
            face = static_face(points.reshape(-1, LANDMARK_COUNT, 3)).reshape(-1)
            moves.append((points - face).astype(np.float32))
            faces.append(face)
        faces = np.array(faces, np.float32).reshape(-1, 3 * LANDMARK_COUNT)
        return Corpus(views, moves, faces, [clip.name for clip in clips])


def statistics(clips: list[Clip]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation (80,) of the features of all clips."""
    count = sum(len(clip.features) for clip in clips)
    mean = sum(clip.features.sum(0, dtype=np.float64) for clip in clips) / count
    square = sum(np.square(clip.features - mean).sum(0, dtype=np.float64) for clip in clips)
    return mean.astype(np.float32), np.sqrt(square / count + 1e-8).astype(np.float32)


def as_portraits(faces: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Static faces as the network meets a portrait's: by its jaw's width, with a standard depth.

    Args:
        faces: (N, 68, 3) in any pose.
        depth: (68,) of the standard face.

    Returns:
        float32 (N, 204).
    """
    portraits = [normalise(face, depth)[0] for face in faces]
    return np.array(portraits, np.float32).reshape(len(faces), -1)


def turned(faces: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Faces (N, 68, 3) turned at random by about ``FACE_TURN``: portraits are seldom frontal."""
    turns = rng.standard_normal((len(faces), 3)) * FACE_TURN
    return np.stack(
        [face @ cv2.Rodrigues(turn)[0] for face, turn in zip(faces, turns, strict=True)]
    )


def batch(
    corpus: Corpus, chances: np.ndarray, rng: np.random.Generator, size: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
    """Windows (N, 18, 80), static faces (N, 204) and displacements (N, 204), in runs of ``RUN``."""
    chosen = rng.choice(len(chances), size // RUN, p=chances)
    heard, moved, faces = [], [], []
    for clip in chosen:
        start = int(rng.integers(0, len(corpus.windows[clip]) - RUN + 1))
        heard.append(corpus.windows[clip][start : start + RUN])
        moved.append(corpus.displacements[clip][start : start + RUN])
        face = clip if rng.random() < OWN_FACE else rng.integers(len(corpus.static_faces))
        faces.append(corpus.static_faces[face].reshape(LANDMARK_COUNT, 3))
    portraits = as_portraits(turned(np.array(faces), rng), corpus.depth)
    face = np.repeat(portraits, RUN, axis=0)
    face = face + FACE_NOISE * rng.standard_normal(face.shape, dtype=np.float32)
    return (
        torch.from_numpy(np.concatenate(heard)),
        torch.from_numpy(face),
        torch.from_numpy(np.concatenate(moved)),
        [corpus.names[clip] for clip in chosen],
    )


def losses(
    made: torch.Tensor, true: torch.Tensor, face: torch.Tensor, options: Options
) -> dict[str, torch.Tensor]:
    """Weighted L1, Laplacian and motion of displacements (N, 204) that come in runs."""
    steps_made = made.unflatten(0, (-1, RUN)).diff(dim=1)
    steps_true = true.unflatten(0, (-1, RUN)).diff(dim=1)
    weights = lip_weights(face + true)
    return {
        "l1": options.l1_weight * weighted_l1(made, true, weights),
        "square": options.square_weight * lip_square(made, true),
        "laplacian": options.laplacian_weight * laplacian_l1(made, true),
        "motion": options.motion_weight * (steps_made - steps_true).abs().mean(),
    }


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
    """
    lengths = np.array([len(view) for view in corpus.windows])
    chances = clip_chances(lengths, corpus.names, options.shares, RUN)
    network.to(run.device)
    average = loop.moving_average(network, EMA_DECAY)
    optimizer = torch.optim.AdamW(
        network.parameters(), options.learning_rate, weight_decay=options.weight_decay
    )
    learner = loop.Learner(network, optimizer, options.learning_rate, LARGEST_NORM, average)
    rng = np.random.default_rng(options.seed)

    def draw() -> loop.Batch:
        *tensors, names = batch(corpus, chances, rng, options.segment_batch_size)
        return loop.Batch(tuple(tensors), names)

    def step(
        _done: int, heard: torch.Tensor, face: torch.Tensor, true: torch.Tensor
    ) -> Iterator[tuple[loop.Learner, dict[str, torch.Tensor]]]:
        heard = heard + options.mel_noise * torch.randn_like(heard)
        yield learner, losses(network(heard, face), true, face, options)

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
    )


def predict(
    network: ContentBranch, view: np.ndarray, face: np.ndarray, device: torch.device
) -> np.ndarray:
    """Displacements (T, 204) of the windows (T, 18, 80) of one clip; puts the network in eval."""
    network.eval()
    static = torch.from_numpy(face)[None].to(device)
    with torch.inference_mode():
        pieces = [
            network(torch.from_numpy(view[i : i + 512]).to(device), static).cpu().numpy()
            for i in range(0, len(view), 512)
        ]
    return np.concatenate(pieces)


def validate(
    network: ContentBranch,
    corpus: Corpus,
    phones: dict[str, list[tuple[str, float, float]]],
    device: torch.device,
) -> dict[str, float]:
    """Mean aperture correlation on real clips and open/shut AUC on synthetic ones, held out."""
    correlations, opened, shut = [], [], []
    thinning = np.arange(0, 10**6) * FRAME_RATE / measures.MEASURE_RATE
    for view, true, face, name in zip(
        corpus.windows, corpus.displacements, corpus.static_faces, corpus.names, strict=True
    ):
        portrait = as_portraits(face.reshape(1, LANDMARK_COUNT, 3), corpus.depth)[0]
        made = predict(network, view, portrait, device)
        # A signed gap: lips that cross count as more shut than lips that touch.
        y = made.reshape(-1, LANDMARK_COUNT, 3)[..., 1]
        signed = y[:, 66] - y[:, 62]
        clip = name.split("/")[-1].split("+")[0]
        if clip in phones:
            wide, least = measures.phone_extremes(signed, FRAME_RATE, phones[clip])
            opened += wide
            shut += least
        else:
            known = measures.aperture((face + true).reshape(-1, LANDMARK_COUNT, 3))
            frames = thinning[thinning < len(signed) - 1].astype(int)
            correlations.append(measures.aperture_correlation(signed[frames], known[frames]))
    return {
        "correlation": float(np.nanmean(correlations)) if correlations else float("nan"),
        "auc": measures.open_shut_auc(opened, shut),
    }
