"""Training of the speaker-aware branch (paper, section 4.2): speech and speaker to head motion.

A generative adversarial network: the discriminator sees windows of motion with the encoding of
their speaker. The losses are in ``src.training.losses.speaker_aware``.
"""

from __future__ import annotations

import numpy as np
import torch

from src.face.topology import LANDMARK_COUNT, NOSE_TIP
from src.models.speaker_aware import (
    EMBEDDING_GAIN,
    SCORED_FRAMES,
    MotionDiscriminator,
    SpeakerBranch,
)
from src.training import loop
from src.training.corpus import Corpus, clip_probabilities
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
DISCRIMINATOR_RATE = 1e-4  # constant learning rate


def train(
    settings: SpeakerAwareTraining,
    device: torch.device,
    network: SpeakerBranch,
    corpus: Corpus,
    validation: Corpus,
) -> None:
    """Train; the checkpoints hold the moving average of the generator's weights as ``G``."""
    sizes = network.config
    discriminator = MotionDiscriminator(sizes).to(device)
    probabilities = clip_probabilities(corpus.clips, settings.fractions, SCORED_FRAMES)
    network.to(device)
    average = loop.moving_average(network, EMA_DECAY)
    adam = torch.optim.Adam(network.parameters(), settings.learning_rate, betas=(0.9, 0.99))
    generator = loop.TrainedNetwork(network, adam, MAX_NORM, average)
    other_adam = torch.optim.Adam(discriminator.parameters(), DISCRIMINATOR_RATE, (0.5, 0.99))
    adversary = loop.TrainedNetwork(
        discriminator, other_adam, schedule=loop.constant, suffix="_discriminator"
    )
    rng = np.random.default_rng(settings.seed)
    mean_face = corpus.static_faces.mean(0).reshape(LANDMARK_COUNT, 3)
    poses = pose_matrix(mean_face).to(device)

    def step(_done, windows, embedding, truth) -> loop.Steps:
        predicted, encoding = network(windows, embedding)
        real_scores = discriminator(truth, encoding.detach())
        fake_scores = discriminator(predicted.detach(), encoding.detach())
        yield adversary, {"discriminator": discriminator_loss(real_scores, fake_scores)}
        batch = SpeakerAwareBatch(predicted, truth, discriminator(predicted, encoding), poses)
        yield generator, weighted_losses(LOSSES, settings, batch)

    loop.train(
        settings,
        device,
        [generator, adversary],
        lambda: draw_batch(corpus, probabilities, rng, sizes.max_length, settings.batch_size),
        step,
        lambda: validate(average.module, validation, device),
        contents={
            "G": average.module,
            "network": network,
            "discriminator": discriminator,
            "average": average,
            "opt": adam,
            "opt_discriminator": other_adam,
            "rng": rng,
            "config": sizes,
            "mel_mean": torch.from_numpy(corpus.mean),
            "mel_std": torch.from_numpy(corpus.std),
        },
    )


def draw_batch(
    corpus: Corpus,
    probabilities: np.ndarray,
    rng: np.random.Generator,
    max_length: int,
    count: int,
) -> loop.Batch:
    """Draw this process's part of a batch of sequences of one length.

    The first clip drawn determines the length; the others are drawn among those that have it.

    Args:
        probabilities: (C,) of the clips.
        max_length: of a sequence, in frames.
        count: sequences in the batch.

    Returns:
        Windows (B, T, 18, 80), embeddings (B, 1, 256) and displacements (B, T, 204).
    """
    lengths = np.array([len(clip.features) for clip in corpus.clips])
    first = rng.choice(len(lengths), p=probabilities)
    length = min(max_length, lengths[first])
    long_enough = np.where(lengths >= length, probabilities, 0.0)
    chosen = [first, *rng.choice(len(lengths), count - 1, p=long_enough / long_enough.sum())]
    starts = [int(rng.integers(0, lengths[clip] - length + 1)) for clip in chosen]
    embeddings = np.stack([corpus.clips[clip].embedding for clip in chosen])[:, None]
    noise = rng.standard_normal(embeddings.shape, np.float32)
    embeddings = (EMBEDDING_GAIN * embeddings).astype(np.float32)
    embeddings = embeddings + EMBEDDING_GAIN * EMBEDDING_NOISE * noise
    runs = [(clip, start, start + length) for clip, start in zip(chosen, starts, strict=True)]
    return corpus.batch(runs, embeddings, rng)


def validate(network: SpeakerBranch, corpus: Corpus, device: torch.device) -> dict[str, float]:
    """L1 error, and std and speed of the nose's motion as fractions of the ground truth's.

    Measured on the first sequence of each clip. The network is left in eval mode.
    """
    network.eval()
    nose = slice(3 * NOSE_TIP, 3 * NOSE_TIP + 2)  # x and y
    errors, stds, speeds = [], [], []
    for index, clip in enumerate(corpus.clips):
        length = min(len(clip.features), network.config.max_length)
        windows = torch.from_numpy(corpus.windows(index, 0, length).copy()).to(device)
        embedding = torch.from_numpy((EMBEDDING_GAIN * clip.embedding).astype(np.float32))
        with torch.inference_mode():
            predicted = network(windows, embedding[None].to(device))[0].cpu().numpy()
        tracks = corpus.displacements(index, 0, length), predicted
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
