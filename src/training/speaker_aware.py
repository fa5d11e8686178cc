"""Training of the speaker-aware branch (paper, section 4.2): who speaks moves head and face.

L1 and Laplacian losses on displacements that keep head motion, and a least-squares GAN whose
discriminator sees windows of motion with the speaker's encoding. Beyond the paper, spread and
speed of the motion are held to those of the true clip, coordinate by coordinate and for the pose
of the head: on little data the L1 loss alone would still the head.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from src.data.dumps import Clip
from src.face.geometry import jaw_width
from src.face.registration import register, static_face
from src.face.topology import LANDMARK_COUNT, NOSE_TIP, RIGID_POINTS
from src.models.speaker_aware import EMBEDDING_GAIN, MotionDiscriminator, SpeakerBranch
from src.training import loop, parallel, runs
from src.training.animation import add_animation, side_by_side
from src.training.losses import laplacian_l1
from src.training.sampling import clip_chances, noise, windows_of

EMA_DECAY = 0.99
EMBEDDING_NOISE = 0.02  # deviation a coordinate: voices near a known one move like it
LARGEST_NORM = 1.0  # of the generator's gradient
TURN_WEIGHT = 2.0  # heads go a tenth of their width about, and turn by some 3 degrees: 0.05 radians


@dataclass(frozen=True)
class Options:
    """What a run is made of."""

    sequences: int  # a step
    learning_rate: float
    discriminator_rate: float
    laplacian_weight: float
    gan_weight: float
    moment_weight: float
    pose_weight: float
    mel_noise: float
    shares: dict[str, float]  # of the draws, by prefix of the speaker's name
    seed: int


@dataclass(frozen=True)
class Corpus:
    """Clips to draw sequences from. Dumps stay as they are, which may be on the disk."""

    clips: list[Clip]
    static_faces: np.ndarray  # (C, 204), in the standard pose
    mean: np.ndarray  # (80,) of the features
    deviation: np.ndarray
    lead: int  # frames of a window before the frame that it speaks for
    gain: float  # on displacements; above 1 it makes up for the ``amp_pos`` of 0.5

    @staticmethod
    def of(
        clips: list[Clip],
        mean: np.ndarray,
        deviation: np.ndarray,
        standard: np.ndarray,
        lead: int,
        gain: float = 1.0,
    ) -> Corpus:
        """Find each clip's static face in the pose of the standard face (68, 3)."""
        faces = np.empty((len(clips), 3 * LANDMARK_COUNT))
        for face, clip in zip(faces, clips, strict=True):
            points = np.asarray(clip.landmarks, np.float32).reshape(-1, LANDMARK_COUNT, 3)
            face[:] = static_face(register(points, standard)).reshape(-1)
        return Corpus(clips, faces, mean, deviation, lead, gain)

    @property
    def lengths(self) -> np.ndarray:
        """(C,) frames."""
        return np.array([len(clip.features) for clip in self.clips])

    def windows(self, clip: int, first: int, end: int) -> np.ndarray:
        """(end - first, 18, 80) standardised, as a view."""
        features = self.clips[clip].features
        return windows_of(features, self.mean, self.deviation, self.lead, first, end)

    def displacements(self, clip: int, first: int, end: int) -> np.ndarray:
        """float32 (end - first, 204) from the clip's static face, head motion included."""
        points = np.asarray(self.clips[clip].landmarks[first:end], np.float32)
        return (self.gain * (points - self.static_faces[clip])).astype(np.float32)

    def voice(self, clip: int) -> np.ndarray:
        """float32 (256,) embedding, as the network wants it."""
        return (EMBEDDING_GAIN * self.clips[clip].embedding).astype(np.float32)


def batch(
    corpus: Corpus,
    chances: np.ndarray,
    rng: np.random.Generator,
    count: int,
    longest: int,
    mel_noise: float = 0.0,
) -> loop.Batch:
    """This process's part of a batch of ``count`` sequences of one length.

    The first clip drawn decides the length; the others are drawn among those that have it.

    Returns:
        Windows (B, T, 18, 80), embeddings (B, 1, 256) and displacements (B, T, 204).
    """
    lengths = corpus.lengths
    first = rng.choice(len(lengths), p=chances)
    length = min(longest, lengths[first])
    able = np.where(lengths >= length, chances, 0.0)
    chosen = [first, *rng.choice(len(lengths), count - 1, p=able / able.sum())]
    starts = [int(rng.integers(0, lengths[clip] - length + 1)) for clip in chosen]
    voices = np.stack([corpus.voice(clip) for clip in chosen])[:, None]
    voices = voices + EMBEDDING_GAIN * EMBEDDING_NOISE * rng.standard_normal(
        voices.shape, np.float32
    )
    mine = parallel.own(count)
    sequences = list(zip(chosen[mine], starts[mine], strict=True))
    heard = np.stack([corpus.windows(clip, start, start + length) for clip, start in sequences])
    if mel_noise:
        heard += mel_noise * noise(rng.integers(2**63, size=count)[mine], heard.shape[1:])
    moved = [corpus.displacements(clip, start, start + length) for clip, start in sequences]
    return loop.Batch(
        (
            torch.from_numpy(heard),
            torch.from_numpy(voices[mine]),
            torch.from_numpy(np.stack(moved)),
        ),
        [corpus.clips[clip].name for clip, _ in sequences],
    )


def moment_loss(made: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Difference of the deviations over time of motion and of its speed: (B, T, N) each."""
    spread = (made.std(dim=1) - true.std(dim=1)).abs().mean()
    made_speed, true_speed = made.diff(dim=1), true.diff(dim=1)
    speed = (made_speed.abs().mean(dim=1) - true_speed.abs().mean(dim=1)).abs().mean()
    return spread + 10.0 * speed


def pose_matrix(face: np.ndarray) -> torch.Tensor:
    """What displacements (..., 204) of a face (68, 3) are multiplied by for the pose of its head.

    To first order in the angles, so that it is one product, and by least squares over the points
    that move with the skull: a turn by w moves a point p off their middle by w x p.

    Returns:
        float32 (204, 5): x and y of the tip of the nose in widths of the face, and the turns about
        x, y and z in radians times ``TURN_WEIGHT``, which makes the five about equally large.
    """
    rigid = RIGID_POINTS
    arms = face[rigid] - face[rigid].mean(0)  # no shift of all points looks like a turn of these
    turns = np.cross(np.eye(3)[:, None], arms).reshape(3, -1)
    matrix = np.zeros((LANDMARK_COUNT, 3, 5))
    matrix[NOSE_TIP, [0, 1], [0, 1]] = 1 / jaw_width(face)
    matrix[rigid, :, 2:] = TURN_WEIGHT * np.linalg.pinv(turns).reshape(len(rigid), 3, 3)
    return torch.from_numpy(matrix.reshape(-1, 5).astype(np.float32))


def losses(
    made: torch.Tensor,
    true: torch.Tensor,
    judged: torch.Tensor,
    poses: torch.Tensor,
    options: Options,
) -> dict[str, torch.Tensor]:
    """Losses of the generator.

    Args:
        made, true: (B, T, 204) displacements.
        judged: the judge's scores of those made.
        poses: (204, 5) of `pose_matrix`.
    """
    return {
        "l1": (made - true).abs().mean(),
        "laplacian": options.laplacian_weight * laplacian_l1(made, true),
        "moments": options.moment_weight * moment_loss(made, true),
        "pose": options.pose_weight * moment_loss(made @ poses, true @ poses),
        "gan": options.gan_weight * ((judged - 1) ** 2).mean(),
    }


def judging_loss(judged_true: torch.Tensor, judged_made: torch.Tensor) -> torch.Tensor:
    """Least-squares GAN: the discriminator wants 1 for true motion and 0 for made motion."""
    return ((judged_true - 1) ** 2).mean() + (judged_made**2).mean()


def train(
    run: runs.Run,
    network: SpeakerBranch,
    discriminator: MotionDiscriminator,
    corpus: Corpus,
    validation: Corpus,
    options: Options,
    statistics: tuple[np.ndarray, np.ndarray],
) -> loop.Report:
    """Train; the checkpoints hold the moving average of the generator's weights as ``G``."""
    chances = clip_chances(corpus.clips, options.shares, discriminator.config.window)
    network.to(run.device)
    discriminator.to(run.device)
    average = loop.moving_average(network, EMA_DECAY)
    optimizer = torch.optim.Adam(network.parameters(), options.learning_rate, betas=(0.9, 0.99))
    judge_optimizer = torch.optim.Adam(
        discriminator.parameters(), options.discriminator_rate, betas=(0.5, 0.99)
    )
    mover = loop.Learner(network, optimizer, options.learning_rate, LARGEST_NORM, average)
    judge = loop.Learner(
        discriminator,
        judge_optimizer,
        options.discriminator_rate,
        schedule=loop.constant,
        name="discriminator",
    )
    rng = np.random.default_rng(options.seed)
    standard = corpus.static_faces.mean(0).reshape(LANDMARK_COUNT, 3)
    poses = pose_matrix(standard).to(run.device)

    def draw() -> loop.Batch:
        return batch(
            corpus, chances, rng, options.sequences, network.config.max_length, options.mel_noise
        )

    def step(
        _done: int, heard: torch.Tensor, voice: torch.Tensor, true: torch.Tensor
    ) -> Iterator[tuple[loop.Learner, dict[str, torch.Tensor]]]:
        made, encoding = network(heard, voice)
        judged_true = discriminator(true, encoding.detach())
        judged_made = discriminator(made.detach(), encoding.detach())
        yield judge, {"discriminator": judging_loss(judged_true, judged_made)}
        yield mover, losses(made, true, discriminator(made, encoding), poses, options)

    def show(writer: Any, done: int) -> None:
        true, made = true_and_made(average.module, validation, 0, run.device)
        face = validation.static_faces[0]
        add_animation(
            writer, "held_out/true_and_made", side_by_side(face + true, face + made), done
        )

    return loop.train(
        run,
        [mover, judge],
        draw,
        {"rng": rng},
        step,
        lambda: validate(average.module, validation, run.device),
        keep={
            "G": average.module,
            "network": network,
            "discriminator": discriminator,
            "average": average,
            "opt": optimizer,
            "opt_discriminator": judge_optimizer,
        },
        extra={
            "config": network.config,
            "mel_mean": torch.from_numpy(statistics[0]),
            "mel_std": torch.from_numpy(statistics[1]),
        },
        show=show,
    )


def true_and_made(
    network: SpeakerBranch, corpus: Corpus, clip: int, device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    """Displacements (T, 204) of a clip's first sequence, and the network's; leaves it in eval."""
    network.eval()
    length = min(len(corpus.clips[clip].features), network.config.max_length)
    heard = torch.from_numpy(corpus.windows(clip, 0, length).copy()).to(device)
    with torch.inference_mode():
        made, _ = network(heard, torch.from_numpy(corpus.voice(clip))[None].to(device))
    return corpus.displacements(clip, 0, length), made.cpu().numpy()


def validate(network: SpeakerBranch, corpus: Corpus, device: torch.device) -> dict[str, float]:
    """Error on held-out people, and spread and speed of the nose's motion over the true ones."""
    errors, made_spread, true_spread, made_speed, true_speed = [], [], [], [], []
    for clip in range(len(corpus.clips)):
        true, made = true_and_made(network, corpus, clip, device)
        errors.append(np.abs(made - true).mean())
        nose = slice(3 * NOSE_TIP, 3 * NOSE_TIP + 2)  # x and y
        made_spread.append(made[:, nose].std(0).mean())
        true_spread.append(true[:, nose].std(0).mean())
        made_speed.append(np.abs(np.diff(made[:, nose], axis=0)).mean())
        true_speed.append(np.abs(np.diff(true[:, nose], axis=0)).mean())
    return {
        "l1": float(np.mean(errors)),
        "spread": float(np.sum(made_spread) / np.sum(true_spread)),
        "speed": float(np.sum(made_speed) / np.sum(true_speed)),
    }
