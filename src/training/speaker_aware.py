"""Training of the speaker-aware branch (paper, section 4.2): speech and speaker to head motion.

A generative adversarial network: the discriminator sees windows of motion with the encoding of
their speaker. The losses are in ``src.training.losses.speaker_aware``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from src.data.dumps import Clip
from src.face.topology import LANDMARK_COUNT, NOSE_TIP
from src.models.speaker_aware import EMBEDDING_GAIN, MotionDiscriminator, SpeakerBranch
from src.training import loop, parallel, tensorboard
from src.training.corpus import Corpus, clip_probabilities, noise
from src.training.losses import weighted_losses
from src.training.losses.speaker_aware import (
    LOSSES,
    SpeakerAwareBatch,
    discriminator_loss,
    pose_matrix,
)
from src.training.settings import SpeakerAwareTraining

EMA_DECAY = 0.99
EMBEDDING_NOISE = 0.02  # std in each coordinate: similar voices are to move alike
MAX_NORM = 1.0  # of the generator's gradient


def train(
    settings: SpeakerAwareTraining,
    device: torch.device,
    network: SpeakerBranch,
    discriminator: MotionDiscriminator,
    corpus: Corpus,
    validation: Corpus,
) -> None:
    """Train; the checkpoints hold the moving average of the generator's weights as ``G``."""
    probabilities = clip_probabilities(
        corpus.clips, settings.fractions, discriminator.config.window
    )
    network.to(device)
    discriminator.to(device)
    average = loop.moving_average(network, EMA_DECAY)
    adam = torch.optim.Adam(network.parameters(), settings.learning_rate, betas=(0.9, 0.99))
    generator = loop.TrainedNetwork(network, adam, MAX_NORM, average)
    rate = settings.discriminator_learning_rate
    other_adam = torch.optim.Adam(discriminator.parameters(), rate, betas=(0.5, 0.99))
    adversary = loop.TrainedNetwork(
        discriminator, other_adam, schedule=loop.constant, name="discriminator"
    )
    rng = np.random.default_rng(settings.seed)
    mean_face = corpus.static_faces.mean(0).reshape(LANDMARK_COUNT, 3)
    poses = pose_matrix(mean_face).to(device)

    def step(
        _done: int, windows: torch.Tensor, embedding: torch.Tensor, truth: torch.Tensor
    ) -> Iterator[tuple[loop.TrainedNetwork, loop.Losses]]:
        predicted, encoding = network(windows, embedding)
        real_scores = discriminator(truth, encoding.detach())
        fake_scores = discriminator(predicted.detach(), encoding.detach())
        yield adversary, {"discriminator": discriminator_loss(real_scores, fake_scores)}
        batch = SpeakerAwareBatch(predicted, truth, discriminator(predicted, encoding), poses)
        yield generator, weighted_losses(LOSSES, settings, batch)

    def show(writer: Any, done: int) -> None:
        face = validation.static_faces[0]
        tracks = [face + track for track in predict(average.module, validation, 0, device)]
        tensorboard.add_faces(writer, "held_out/truth_and_prediction", tracks, done)

    loop.train(
        settings,
        device,
        [generator, adversary],
        lambda: draw_batch(corpus, probabilities, rng, network.config.max_length, settings),
        {"rng": rng},
        step,
        lambda: validate(average.module, validation, device),
        keep={
            "G": average.module,
            "network": network,
            "discriminator": discriminator,
            "average": average,
            "opt": adam,
            "opt_discriminator": other_adam,
        },
        extra={
            "config": network.config,
            "mel_mean": torch.from_numpy(corpus.mean),
            "mel_std": torch.from_numpy(corpus.std),
        },
        show=show,
    )


def draw_batch(
    corpus: Corpus,
    probabilities: np.ndarray,
    rng: np.random.Generator,
    max_length: int,
    settings: SpeakerAwareTraining,
) -> loop.Batch:
    """Draw this process's part of a batch of sequences of one length.

    The first clip drawn determines the length; the others are drawn among those that have it.

    Args:
        probabilities: (C,) of the clips.
        max_length: of a sequence, in frames.

    Returns:
        Windows (B, T, 18, 80), embeddings (B, 1, 256) and displacements (B, T, 204).
    """
    count = settings.batch_size
    lengths = np.array([len(clip.features) for clip in corpus.clips])
    first = rng.choice(len(lengths), p=probabilities)
    length = min(max_length, lengths[first])
    long_enough = np.where(lengths >= length, probabilities, 0.0)
    chosen = [first, *rng.choice(len(lengths), count - 1, p=long_enough / long_enough.sum())]
    starts = [int(rng.integers(0, lengths[clip] - length + 1)) for clip in chosen]
    embeddings = np.stack([network_embedding(corpus.clips[clip]) for clip in chosen])[:, None]
    embeddings = embeddings + EMBEDDING_GAIN * EMBEDDING_NOISE * rng.standard_normal(
        embeddings.shape, np.float32
    )
    mine = parallel.own(count)
    sequences = [
        (clip, start, start + length)
        for clip, start in zip(chosen[mine], starts[mine], strict=True)
    ]
    windows = np.stack([corpus.windows(*sequence) for sequence in sequences])
    if settings.mel_noise:
        seeds = rng.integers(2**63, size=count)[mine]
        windows += settings.mel_noise * noise(seeds, windows.shape[1:])
    displacements = np.stack([corpus.displacements(*sequence) for sequence in sequences])
    return loop.Batch(
        (
            torch.from_numpy(windows),
            torch.from_numpy(embeddings[mine]),
            torch.from_numpy(displacements),
        ),
        [corpus.clips[clip].name for clip, *_ in sequences],
    )


def network_embedding(clip: Clip) -> np.ndarray:
    """float32 (256,) speaker embedding of a clip, as the network expects it."""
    return (EMBEDDING_GAIN * clip.embedding).astype(np.float32)


def predict(
    network: SpeakerBranch, corpus: Corpus, clip: int, device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    """True and predicted displacements (T, 204) of the first sequence of a clip.

    The network is left in eval mode.
    """
    network.eval()
    length = min(len(corpus.clips[clip].features), network.config.max_length)
    windows = torch.from_numpy(corpus.windows(clip, 0, length).copy()).to(device)
    embedding = torch.from_numpy(network_embedding(corpus.clips[clip]))[None].to(device)
    with torch.inference_mode():
        predicted, _ = network(windows, embedding)
    return corpus.displacements(clip, 0, length), predicted.cpu().numpy()


def validate(network: SpeakerBranch, corpus: Corpus, device: torch.device) -> dict[str, float]:
    """L1 error, and std and speed of the nose's motion as fractions of the ground truth's."""
    nose = slice(3 * NOSE_TIP, 3 * NOSE_TIP + 2)  # x and y
    errors, stds, speeds = [], [], []
    for clip in range(len(corpus.clips)):
        tracks = predict(network, corpus, clip, device)
        errors.append(np.abs(tracks[1] - tracks[0]).mean())
        stds.append([track[:, nose].std(0).mean() for track in tracks])
        speeds.append([np.abs(np.diff(track[:, nose], axis=0)).mean() for track in tracks])
    true_std, predicted_std = np.sum(stds, axis=0)
    true_speed, predicted_speed = np.sum(speeds, axis=0)
    return {
        "l1": float(np.mean(errors)),
        "spread": float(predicted_std / true_std),
        "speed": float(predicted_speed / true_speed),
    }
