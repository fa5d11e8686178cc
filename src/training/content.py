"""Training of the content branch (paper, section 4.1): speech to displacements of the lips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from src.data.synthesis import Phones
from src.errors import InputError
from src.face.geometry import central_lip_gap, normalise
from src.face.topology import LANDMARK_COUNT
from src.io.audio import FRAME_RATE
from src.metrics.aperture import MEASURE_RATE, aperture, aperture_correlation
from src.metrics.open_shut import auc, phone_extremes
from src.models.content import ContentBranch
from src.training import loop
from src.training.corpus import Corpus, clip_probabilities, frames_needed
from src.training.losses import weighted_losses
from src.training.losses.content import LOSSES, ContentBatch
from src.training.settings import ContentTraining

EMA_DECAY = 0.99
OWN_FACE = 0.4  # probability that a run is paired with the clip's own static face
FACE_NOISE = 0.01  # std of noise on static faces, normalised units
FACE_TURN = (0.15, 0.2, 0.1)  # std, in radians, of a portrait's nod, turn and tilt
MAX_NORM = 1.0  # of the gradient
CHUNK = 512  # windows predicted at a time


def train(
    settings: ContentTraining,
    device: torch.device,
    network: ContentBranch,
    corpus: Corpus,
    validation: Corpus,
    phones: dict[str, Phones],
) -> None:
    """Train; the checkpoints hold the moving average of the weights as ``model_g_face_id``.

    Args:
        phones: of the synthetic clips in ``validation``, by name.

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

    def step(_done, windows, face, truth) -> loop.Steps:
        face, flat_truth = face.flatten(0, 1), truth.flatten(0, 1)
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.bfloat16):
            predicted = network(windows.flatten(0, 1), face)
        predicted = predicted.float()
        batch = ContentBatch(predicted, flat_truth, face, predicted.view_as(truth), truth)
        yield trained, weighted_losses(LOSSES, settings, batch)

    loop.train(
        settings,
        device,
        [trained],
        lambda: draw_batch(corpus, probabilities, rng, settings),
        step,
        lambda: validate(average.module, validation, phones, device),
        contents={
            "model_g_face_id": average.module,
            "network": network,
            "average": average,
            "opt": optimizer,
            "rng": rng,
            "config": network.config,
            "mel_mean": torch.from_numpy(corpus.mean),
            "mel_std": torch.from_numpy(corpus.std),
        },
        score=lambda scores: float(np.nansum([scores["correlation"], scores["auc"]])),
    )


def draw_batch(
    corpus: Corpus,
    probabilities: np.ndarray,
    rng: np.random.Generator,
    settings: ContentTraining,
) -> loop.Batch:
    """Draw this process's part of a batch of R runs of L consecutive windows of a clip.

    Args:
        probabilities: (C,) of the clips.

    Returns:
        Windows (R, L, 18, 80), static faces (R, L, 204) and displacements (R, L, 204).
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
    static = corpus.static_faces.reshape(-1, LANDMARK_COUNT, 3)
    faces = as_portraits(turn(static[face_clips], rng), static[..., 2].mean(0))[:, None]
    noise = rng.standard_normal((len(faces), run_length, faces.shape[-1]), np.float32)
    return corpus.batch(runs, faces + FACE_NOISE * noise, rng)


def as_portraits(faces: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Normalise static faces (N, 68, 3) as portraits of the standard depth (68,): (N, 204)."""
    normalised, _, _ = normalise(faces, depth)
    return normalised.reshape(len(faces), -1).astype(np.float32)


def turn(faces: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn faces (N, 68, 3) at random by about ``FACE_TURN``: portraits are seldom frontal."""
    turns = rng.standard_normal((len(faces), 3)) * FACE_TURN
    return faces @ Rotation.from_rotvec(turns).as_matrix()


def validate(
    network: ContentBranch, corpus: Corpus, phones: dict[str, Phones], device: torch.device
) -> dict[str, float]:
    """Mean aperture correlation on real clips and open/shut AUC on synthetic ones.

    The network is left in eval mode.
    """
    network.eval()
    static = corpus.static_faces.reshape(-1, LANDMARK_COUNT, 3)
    portraits = torch.from_numpy(as_portraits(static, static[..., 2].mean(0))).to(device)
    correlations, opened, shut = [], [], []
    for index, clip in enumerate(corpus.clips):
        windows = torch.from_numpy(corpus.windows(index, 0, len(clip.features)).copy())
        with torch.inference_mode():
            chunks = [network(x.to(device), portraits[index, None]) for x in windows.split(CHUNK)]
        predicted = torch.cat(chunks).unflatten(1, (LANDMARK_COUNT, 3)).cpu().numpy()
        # The gap is signed: lips that cross count as more closed than lips that touch.
        gap = central_lip_gap(predicted)
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
