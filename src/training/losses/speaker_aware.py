"""Losses of the speaker-aware branch and of its discriminator (paper, section 4.2).

L1 and Laplacian losses on displacements that keep head motion, and a least-squares GAN. Beyond the
paper, std and speed of the motion are compared with those of the ground truth: on little data the
L1 loss alone would make the head stand still.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from src.face.geometry import jaw_width
from src.face.topology import LANDMARK_COUNT, NOSE_TIP, RIGID_POINTS
from src.training.losses.landmarks import laplacian

TURN_WEIGHT = 2.0  # heads move by a tenth of their width and turn by some 3 degrees: 0.05 radians
SPEED_WEIGHT = 10.0  # of the speed, next to the std, in `moment_distance`


@dataclass(frozen=True)
class SpeakerAwareBatch:
    """B sequences of T frames."""

    predicted: torch.Tensor  # (B, T, 204) displacements
    truth: torch.Tensor  # (B, T, 204)
    scores: torch.Tensor  # (B, N) of the discriminator for ``predicted``
    pose_matrix: torch.Tensor  # (204, 5) of `pose_matrix`


def l1(batch: SpeakerAwareBatch) -> torch.Tensor:
    """Mean absolute difference."""
    return (batch.predicted - batch.truth).abs().mean()


def moments(batch: SpeakerAwareBatch) -> torch.Tensor:
    """Difference of the std and speed of every coordinate; not in the paper."""
    return moment_distance(batch.predicted, batch.truth)


def pose(batch: SpeakerAwareBatch) -> torch.Tensor:
    """Difference of the std and speed of the head pose; not in the paper."""
    return moment_distance(batch.predicted @ batch.pose_matrix, batch.truth @ batch.pose_matrix)


def gan(batch: SpeakerAwareBatch) -> torch.Tensor:
    """Least-squares GAN (Mao et al. 2017): the generator's target is a score of 1."""
    return ((batch.scores - 1) ** 2).mean()


LOSSES = {"l1": l1, "laplacian": laplacian, "moments": moments, "pose": pose, "gan": gan}


def discriminator_loss(real_scores: torch.Tensor, fake_scores: torch.Tensor) -> torch.Tensor:
    """Least-squares GAN: the target is 1 for real motion and 0 for generated motion."""
    return ((real_scores - 1) ** 2).mean() + (fake_scores**2).mean()


def moment_distance(predicted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Mean difference of std and of speed (mean absolute step) over time of tracks (B, T, N)."""
    std = (predicted.std(dim=1) - truth.std(dim=1)).abs().mean()
    predicted_step, true_step = predicted.diff(dim=1), truth.diff(dim=1)
    speed = (predicted_step.abs().mean(dim=1) - true_step.abs().mean(dim=1)).abs().mean()
    return std + SPEED_WEIGHT * speed


def pose_matrix(face: np.ndarray) -> torch.Tensor:
    """Matrix that maps displacements (..., 204) of a face (68, 3) to the pose of its head.

    It is linear, so exact only for small angles, and least squares over the points that move with
    the skull: a rotation by w moves a point p, relative to the centre of these points, by w x p.

    Returns:
        float32 (204, 5): x and y of the tip of the nose in widths of the face, and the rotations
        about x, y and z in radians times ``TURN_WEIGHT``, which brings all to about one size.
    """
    rigid = RIGID_POINTS
    arms = face[rigid] - face[rigid].mean(0)  # centred, so that a shift is no rotation
    turns = np.cross(np.eye(3)[:, None], arms).reshape(3, -1)
    matrix = np.zeros((LANDMARK_COUNT, 3, 5))
    matrix[NOSE_TIP, [0, 1], [0, 1]] = 1 / jaw_width(face)
    matrix[rigid, :, 2:] = TURN_WEIGHT * np.linalg.pinv(turns).reshape(len(rigid), 3, 3)
    return torch.from_numpy(matrix.reshape(-1, 5).astype(np.float32))
