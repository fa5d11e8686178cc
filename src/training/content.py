"""Training of the content branch (paper, section 4.1): speech to displacements of the lips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from src.errors import InputError
from src.face.geometry import central_lip_gap, normalise
from src.face.topology import LANDMARK_COUNT
from src.io.audio import FRAME_RATE
from src.metrics.aperture import MEASURE_RATE, aperture, aperture_correlation
from src.metrics.open_shut import auc, phone_extremes
from src.models.content import ContentBranch
from src.training import loop, parallel, tensorboard
from src.training.corpus import Corpus, clip_probabilities, frames_needed, noise
from src.training.losses import weighted_losses
from src.training.losses.content import LOSSES, ContentBatch
from src.training.settings import ContentTraining

EMA_DECAY = 0.99
OWN_FACE = 0.4  # probability that a run is paired with the clip's own static face
FACE_NOISE = 0.01  # std of noise on static faces, normalised units
FACE_TURN = (0.15, 0.2, 0.1)  # std, in radians, of a portrait's nod, turn and tilt
MAX_NORM = 1.0  # of the gradient
CHUNK = 512  # windows predicted at a time

Phones = dict[str, list[tuple[str, float, float]]]
"""Phones (CMU name, start and end in seconds) of synthetic clips, by the clip's name."""


def train(
    settings: ContentTraining,
    device: torch.device,
    network: ContentBranch,
    corpus: Corpus,
    validation: Corpus,
    phones: Phones,
) -> None:
    """Train; the checkpoints hold the moving average of the weights as ``model_g_face_id``.

    Args:
        phones: of the synthetic clips in ``validation``.

    Raises:
        InputError: as ``loop.train``, or a batch is shorter than a run.
    """
    size, run_length = settings.segment_batch_size, settings.run_length
    if run_length > size:
        raise InputError(f"--run_length {run_length}: longer than a batch of {size} windows")
    if settings.nepoch:
        windows = sum(len(clip.features) for clip in corpus.clips)
        settings = replace(settings, steps=settings.nepoch * -(-windows // size))
    min_frames = frames_needed(run_length, 1 + settings.speed_change)
    probabilities = clip_probabilities(
        corpus.clips, settings.fractions, min_frames, settings.even_clips
    )
    network.to(device)
    average = loop.moving_average(network, EMA_DECAY)
    optimizer = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    trained = loop.TrainedNetwork(network, optimizer, MAX_NORM, average)
    rng = np.random.default_rng(settings.seed)

    def step(
        _done: int, windows: torch.Tensor, face: torch.Tensor, truth: torch.Tensor
    ) -> Iterator[tuple[loop.TrainedNetwork, loop.Losses]]:
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.bfloat16):
            predicted = network(windows, face)
        predicted = predicted.float()
        runs = (x.unflatten(0, (-1, run_length)) for x in (predicted, truth))
        batch = ContentBatch(predicted, truth, face, *runs)
        yield trained, weighted_losses(LOSSES, settings, batch)

    def show(writer: Any, done: int) -> None:
        face = validation.static_faces[0]
        predicted = predict(average.module, validation, 0, portraits(validation)[0], device)
        tracks = [np.asarray(validation.clips[0].landmarks), face + predicted]
        tensorboard.add_faces(writer, "held_out/truth_and_prediction", tracks, done)

    loop.train(
        settings,
        device,
        [trained],
        lambda: draw_batch(corpus, probabilities, rng, settings),
        {"rng": rng},
        step,
        lambda: validate(average.module, validation, phones, device),
        keep={
            "model_g_face_id": average.module,
            "network": network,
            "average": average,
            "opt": optimizer,
        },
        extra={
            "config": network.config,
            "mel_mean": torch.from_numpy(corpus.mean),
            "mel_std": torch.from_numpy(corpus.std),
        },
        score=lambda scores: float(np.nansum([scores["correlation"], scores["auc"]])),
        show=show,
    )


def draw_batch(
    corpus: Corpus,
    probabilities: np.ndarray,
    rng: np.random.Generator,
    settings: ContentTraining,
) -> loop.Batch:
    """Draw this process's part of a batch of windows, in runs of consecutive windows of a clip.

    Args:
        probabilities: (C,) of the clips.

    Returns:
        Windows (N, 18, 80), static faces (N, 204) and displacements (N, 204).
    """
    run_length, change = settings.run_length, settings.speed_change
    chosen = rng.choice(
        len(probabilities), settings.segment_batch_size // run_length, p=probabilities
    )
    runs, face_clips = [], []
    for clip in chosen:
        rate = 1 + rng.uniform(-change, change) if change else 1.0
        starts = len(corpus.clips[clip].features) - frames_needed(run_length, rate) + 1
        first = int(rng.integers(0, starts))
        runs.append((clip, first, first + run_length, rate))
        own = rng.random() < OWN_FACE
        face_clips.append(clip if own else rng.integers(len(corpus.static_faces)))
    faces = corpus.static_faces[face_clips].reshape(-1, LANDMARK_COUNT, 3)
    faces = np.repeat(as_portraits(turn(faces, rng), mean_depth(corpus)), run_length, axis=0)
    faces = faces + FACE_NOISE * rng.standard_normal(faces.shape, dtype=np.float32)
    mine = parallel.own(len(chosen))
    runs = runs[mine]
    windows = np.stack([corpus.windows(*run) for run in runs])
    if settings.mel_noise:
        seeds = rng.integers(2**63, size=len(chosen))[mine]
        windows += settings.mel_noise * noise(seeds, windows.shape[1:])
    displacements = np.concatenate([corpus.displacements(*run) for run in runs])
    return loop.Batch(
        (
            torch.from_numpy(windows.reshape(-1, *windows.shape[2:])),
            torch.from_numpy(faces[mine.start * run_length : mine.stop * run_length]),
            torch.from_numpy(displacements),
        ),
        [corpus.clips[clip].name for clip, *_ in runs],
    )


def mean_depth(corpus: Corpus) -> np.ndarray:
    """(68,) mean depth of the static faces, which is that of the face they are registered to."""
    return corpus.static_faces.reshape(-1, LANDMARK_COUNT, 3)[..., 2].mean(0)


def as_portraits(faces: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Normalise static faces (N, 68, 3) as portraits of the standard depth (68,): (N, 204)."""
    normalised, _, _ = normalise(faces, depth)
    return normalised.reshape(len(faces), -1).astype(np.float32)


def portraits(corpus: Corpus) -> np.ndarray:
    """Static faces (C, 204) of the clips, normalised as portraits."""
    faces = corpus.static_faces.reshape(-1, LANDMARK_COUNT, 3)
    return as_portraits(faces, mean_depth(corpus))


def turn(faces: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn faces (N, 68, 3) at random by about ``FACE_TURN``: portraits are seldom frontal."""
    turns = rng.standard_normal((len(faces), 3)) * FACE_TURN
    return faces @ Rotation.from_rotvec(turns).as_matrix()


def predict(
    network: ContentBranch, corpus: Corpus, clip: int, face: np.ndarray, device: torch.device
) -> np.ndarray:
    """Predict the displacements (T, 204) of a clip's frames for a face (204,), in eval mode."""
    network.eval()
    static = torch.from_numpy(face)[None].to(device)
    frames = len(corpus.clips[clip].features)
    chunks = []
    with torch.inference_mode():
        for first in range(0, frames, CHUNK):
            windows = corpus.windows(clip, first, min(frames, first + CHUNK))
            chunks.append(
                network(torch.from_numpy(windows.copy()).to(device), static).cpu().numpy()
            )
    return np.concatenate(chunks)


def validate(
    network: ContentBranch, corpus: Corpus, phones: Phones, device: torch.device
) -> dict[str, float]:
    """Mean aperture correlation on real clips and open/shut AUC on synthetic ones."""
    correlations, opened, shut = [], [], []
    for index, (clip, portrait) in enumerate(zip(corpus.clips, portraits(corpus), strict=True)):
        predicted = predict(network, corpus, index, portrait, device)
        # The gap is signed: lips that cross count as more closed than lips that touch.
        gap = central_lip_gap(predicted.reshape(-1, LANDMARK_COUNT, 3))
        if clip.stem in phones:
            widest, least = phone_extremes(gap, FRAME_RATE, phones[clip.stem])
            opened += widest
            shut += least
        else:
            truth = aperture(np.reshape(clip.landmarks, (-1, LANDMARK_COUNT, 3)))
            frames = np.arange(0, len(gap) - 1, FRAME_RATE / MEASURE_RATE).astype(int)
            correlations.append(aperture_correlation(gap[frames], truth[frames]))
    return {
        "correlation": float(np.nanmean(correlations)) if correlations else float("nan"),
        "auc": auc(opened, shut),
    }
