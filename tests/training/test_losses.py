"""Every loss of the trainings against numbers worked out by hand."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from src.errors import InputError
from src.face.topology import LANDMARK_COUNT
from src.models.autovc import AutoVC
from src.models.config import AutoVCConfig
from src.training import voice_conversion
from src.training.losses import content, landmarks, speaker_aware, weighted_losses
from src.training.losses import image_translation as translation
from src.training.losses import voice_conversion as conversion
from src.training.losses.content import ContentBatch
from src.training.losses.speaker_aware import SpeakerAwareBatch
from src.training.settings import (
    ContentTraining,
    ImageTranslationTraining,
    SpeakerAwareTraining,
    VoiceConversionTraining,
)

LIP_POINTS, OTHER_POINTS = 20, 48
COORDINATES = 3 * LANDMARK_COUNT
RUN = 4


def y_of(point: int) -> int:
    return 3 * point + 1


@pytest.mark.parametrize(
    ("losses", "settings"),
    [
        (content.LOSSES, ContentTraining),
        (speaker_aware.LOSSES, SpeakerAwareTraining),
        (conversion.LOSSES, VoiceConversionTraining),
        (translation.LOSSES, ImageTranslationTraining),
    ],
)
def test_every_loss_has_a_weight_in_the_settings(losses, settings):
    assert {f"{name}_weight" for name in losses} <= set(settings.__dataclass_fields__)


def test_losses_are_weighted_and_those_without_weight_are_not_computed():
    losses = {"one": lambda batch: batch, "none": lambda batch: 1 / 0}
    settings = SimpleNamespace(one_weight=3.0, none_weight=0.0)
    assert weighted_losses(losses, settings, torch.tensor(2.0)) == {"one": 6.0}
    settings.one_weight = 0.0
    with pytest.raises(InputError, match="no loss has a weight above 0: one, none"):
        weighted_losses(losses, settings, torch.tensor(2.0))


def test_a_shut_mouth_weighs_ten_times_as_much_as_the_rest_of_the_face():
    truth = torch.zeros(2, COORDINATES)
    truth[1, y_of(66)] = 0.1  # the lower inner lip a tenth below the upper one
    weights = content.lip_weights(truth)
    # 1 / (4 * 0 + 0.1) = 10 and 1 / (4 * 0.1 + 0.1) = 2
    assert weights[0, 3 * 48 :].tolist() == pytest.approx([10.0] * 3 * LIP_POINTS)
    assert weights[1, 3 * 48 :].tolist() == pytest.approx([2.0] * 3 * LIP_POINTS)
    assert weights[:, : 3 * 48].eq(1).all()


def test_lips_that_have_crossed_weigh_as_open_ones():
    truth = torch.zeros(1, COORDINATES)
    truth[0, y_of(66)] = -0.1
    assert content.lip_weights(truth)[0, -1].item() == pytest.approx(2.0)


def content_batch(predicted, truth, face=None) -> ContentBatch:
    runs = (x.unflatten(0, (-1, RUN)) if len(x) % RUN == 0 else x for x in (predicted, truth))
    return ContentBatch(predicted, truth, torch.zeros_like(truth) if face is None else face, *runs)


def test_the_square_loss_sees_lips_only_in_their_own_scale():
    predicted, truth = torch.zeros(2, COORDINATES), torch.zeros(2, COORDINATES)
    predicted[0, y_of(8)] = 5.0  # the chin
    assert content.square(content_batch(predicted, truth)).item() == 0
    predicted[0, y_of(62)] = 0.06
    # (0.06 / 0.03)^2 = 4 in one of 2 * 20 * 3 coordinates
    assert content.square(content_batch(predicted, truth)).item() == pytest.approx(4 / 120)


def test_the_laplacian_of_a_straight_brow_is_zero_and_of_a_bent_one_is_not():
    points = torch.zeros(LANDMARK_COUNT, 3)
    points[17:22, 0] = torch.arange(5.0)
    assert landmarks.graph_laplacian(points.flatten())[18:21].abs().max().item() == 0
    points[19, 1] = 1.0
    bent = landmarks.graph_laplacian(points.flatten())[:, 1]
    assert bent[18:21].tolist() == [-0.5, 1.0, -0.5]  # each less the mean of its neighbours
    assert bent.abs().sum().item() == 2.0  # and no other curve has point 19


def test_the_laplacian_closes_eyes_and_lips_and_mirrors_the_ends_of_brows():
    points = torch.zeros(LANDMARK_COUNT, 3)
    points[36, 1] = 1.0  # first of the six points of an eye; 37 and 41 are beside it
    points[17, 1] = 1.0  # the end of a brow; 18 is beside it, and has 19 on its other side
    bent = landmarks.graph_laplacian(points.flatten())[:, 1]
    assert {index: bent[index].item() for index in bent.nonzero().flatten().tolist()} == {
        **{36: 1.0, 37: -0.5, 41: -0.5},
        **{17: 1.0, 18: -0.5},
    }


def test_the_laplacian_loss():
    predicted, truth = torch.zeros(2, COORDINATES), torch.zeros(2, COORDINATES)
    predicted[0, y_of(19)] = 1.0
    truth[1], predicted[1] = 0.3, 0.8  # the same shift of all points has no Laplacian
    # |1| + |-0.5| + |-0.5| = 2 in 2 * 204 coordinates
    batch = SimpleNamespace(predicted=predicted, truth=truth)
    assert landmarks.laplacian(batch).item() == pytest.approx(2 / 408)


def content_losses(predicted, truth, face=None, **weights: float) -> dict[str, torch.Tensor]:
    every = {"l1_weight": 1.0, "square_weight": 1.0, "laplacian_weight": 1.0, "motion_weight": 1.0}
    settings = ContentTraining(root_dir=Path(), **{**every, **weights})
    return weighted_losses(content.LOSSES, settings, content_batch(predicted, truth, face))


def test_the_losses_of_the_content_branch():
    truth = torch.zeros(2 * RUN, COORDINATES)
    predicted = torch.full_like(truth, 0.03)
    predicted[RUN:] += 0.01 * torch.arange(RUN)[:, None]
    parts = content_losses(predicted, truth, l1_weight=2.0, motion_weight=3.0)
    # Of the first run every difference is 0.03, of the second 0.03, 0.04, 0.05, 0.06: 0.0375 in the
    # mean. A coordinate weighs (48 * 1 + 20 * 10) / 68 in the mean, as the lips are shut.
    weight = (OTHER_POINTS + 10 * LIP_POINTS) / LANDMARK_COUNT
    assert parts["l1"].item() == pytest.approx(2.0 * 0.0375 * weight)
    # Squares in units of 0.03: four times 1, then 1, (4/3)^2, (5/3)^2 and 2^2.
    assert parts["square"].item() == pytest.approx((4 + 1 + 16 / 9 + 25 / 9 + 4) / 8, rel=1e-5)
    assert parts["laplacian"].item() == pytest.approx(0.0, abs=1e-8)
    # Steps within a run: three of 0 and three of 0.01; the step from run to run does not count.
    assert parts["motion"].item() == pytest.approx(3.0 * 0.005, rel=1e-4)
    assert set(parts) == {"l1", "square", "laplacian", "motion"}


def gaps(*runs: list[float]) -> torch.Tensor:
    """Displacements (R, L, 204) that open the mouth by these gaps, half of it by each lip."""
    displacements = torch.zeros(len(runs), len(runs[0]), COORDINATES)
    displacements[..., y_of(66)] = 0.5 * torch.tensor(runs)
    displacements[..., y_of(62)] = -0.5 * torch.tensor(runs)
    return displacements


def correlation(predicted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    flat = predicted.flatten(0, 1), truth.flatten(0, 1)
    return content.correlation(ContentBatch(*flat, flat[1], predicted, truth))


def test_the_loss_of_the_correlation_of_the_gap():
    truth = gaps([0.0, 0.1, 0.0, 0.1])  # a std of 0.05, at and beyond 0.03 a run counts fully
    floor = content.MIN_GAP_STD**2

    def loss(predicted: list[float]) -> float:
        return correlation(gaps(predicted), truth).item()

    alike = 0.05**2 / (0.05**2 + floor)  # hardly less than 1
    assert loss([0.0, 0.1, 0.0, 0.1]) == pytest.approx(1 - alike, abs=1e-6)
    assert loss([0.1, 0.0, 0.1, 0.0]) == pytest.approx(1 + alike, abs=1e-6)
    # How wide the mouth opens, and from where, makes no difference but for that floor.
    wide = 0.05 * 0.1 / ((0.05**2 + floor) * (0.1**2 + floor)) ** 0.5
    assert loss([0.3, 0.5, 0.3, 0.5]) == pytest.approx(1 - wide, abs=1e-6)
    # Neither does a mouth that stays still, or moves when the truth one does not, correlate.
    assert loss([0.1, 0.1, 0.1, 0.1]) == pytest.approx(1.0)
    assert loss([0.1, 0.1, 0.0, 0.0]) == pytest.approx(1.0, abs=1e-6)


def test_a_run_counts_for_the_correlation_by_how_much_its_mouth_moves():
    predicted = gaps([0.1, 0.1, 0.0, 0.0], [0.1, 0.1, 0.0, 0.0], [0.1, 0.1, 0.0, 0.0])
    # Correlations of 0; stds of 0.05 (counts 1), of 0.015 (half as much as 0.03) and of 0.
    truth = gaps([0.1, 0.0, 0.1, 0.0], [0.03, 0.0, 0.03, 0.0], [0.2, 0.2, 0.2, 0.2])
    assert correlation(predicted, truth).item() == pytest.approx(1.5 / 3, abs=1e-6)


def test_the_correlation_loss_has_a_gradient_where_no_mouth_moves():
    predicted = gaps([0.2, 0.2, 0.2, 0.2]).requires_grad_()
    correlation(predicted, gaps([0.0, 0.1, 0.0, 0.1])).backward()
    assert predicted.grad.isfinite().all()
    assert predicted.grad[0, :, y_of(66)].sign().tolist() == [1.0, -1.0, 1.0, -1.0]


def test_the_content_branch_takes_the_correlation_within_runs():
    truth = gaps([0.0, 0.1, 0.0, 0.1], [0.5, 0.5, 0.6, 0.6])
    predicted = gaps([0.0, 0.1, 0.0, 0.1], [0.6, 0.6, 0.5, 0.5])  # correlations of 1 and of -1
    parts = content_losses(predicted.flatten(0, 1), truth.flatten(0, 1), correlation_weight=3.0)
    assert parts["correlation"].item() == pytest.approx(3.0 * (0 + 2) / 2, rel=1e-3)


def test_weights_of_lips_come_from_the_true_face():
    truth, face = torch.zeros(RUN, COORDINATES), torch.zeros(RUN, COORDINATES)
    truth[:, y_of(66)] = 0.06
    face[:, y_of(66)] = 0.04  # open by 0.1 together: lips weigh 2
    parts = content_losses(truth + 0.5, truth, face)
    weight = (OTHER_POINTS + 2 * LIP_POINTS) / LANDMARK_COUNT
    assert parts["l1"].item() == pytest.approx(0.5 * weight)


def test_moments_are_spread_and_speed():
    truth = torch.zeros(1, 3, COORDINATES)
    predicted = torch.zeros_like(truth)
    predicted[0, :, 0] = torch.tensor([0.0, 1.0, 2.0])
    # One coordinate of 204 has std 1 (unbiased) and a mean step of 1, which counts 10 times.
    assert speaker_aware.moment_distance(predicted, truth).item() == pytest.approx(
        (1 + 10 * 1) / COORDINATES
    )
    # The same motion backwards has the same moments.
    assert speaker_aware.moment_distance(predicted.flip(1), predicted).item() == pytest.approx(
        0.0, abs=1e-7
    )


def test_the_pose_of_a_head_is_read_off_its_displacement():
    face = np.random.default_rng(0).uniform(-0.5, 0.5, (LANDMARK_COUNT, 3))
    face[0], face[16] = (-0.8, 0, 0), (0.8, 0, 0)
    poses = speaker_aware.pose_matrix(face)

    def pose_of(displacements: np.ndarray) -> list[float]:
        return (
            torch.from_numpy((displacements - face).astype(np.float32)).flatten() @ poses
        ).tolist()

    # A shift by (0.16, -0.08) is a tenth and a twentieth of the face's width, and no turn.
    assert pose_of(face + [0.16, -0.08, 0.3]) == pytest.approx([0.1, -0.05, 0, 0, 0], abs=1e-6)
    small = 0.01
    turned = np.stack([face[:, 0] - small * face[:, 1], face[:, 1] + small * face[:, 0]], -1)
    rolled = np.concatenate([turned, face[:, 2:]], -1)
    nose = [-small * face[30, 1] / 1.6, small * face[30, 0] / 1.6]
    assert pose_of(rolled) == pytest.approx([*nose, 0, 0, 2 * small], abs=1e-6)
    # A shut mouth, a raised brow: nothing that the skull does.
    spoken = face.copy()
    spoken[[19, 57, 62]] += 0.1
    assert pose_of(spoken) == [0, 0, 0, 0, 0]


def test_the_least_squares_gan():
    truth, predicted = torch.tensor([[1.0, 0.5]]), torch.tensor([[0.5, 0.0]])
    # mean(0^2, 0.5^2) + mean(0.5^2, 0^2)
    assert speaker_aware.discriminator_loss(truth, predicted).item() == pytest.approx(0.25)


def test_the_losses_of_the_speaker_aware_branch():
    truth = torch.zeros(1, 4, COORDINATES)
    predicted = truth.clone()
    predicted[..., y_of(19)] = 0.2  # always: no motion
    settings = SpeakerAwareTraining(
        root_dir=Path(), laplacian_weight=3.0, gan_weight=0.5, moments_weight=1.0, pose_weight=4.0
    )
    predicted[:, ::2, y_of(30)] = 0.3  # the nose, at every other moment
    poses = torch.zeros(COORDINATES, 5)
    poses[y_of(30), 1] = 0.5
    batch = SpeakerAwareBatch(predicted, truth, torch.tensor([[0.0, 0.6]]), poses)
    parts = weighted_losses(speaker_aware.LOSSES, settings, batch)
    assert parts["l1"].item() == pytest.approx((0.2 + 0.15) / COORDINATES)
    # The nose's end and its neighbour are off by 0.3 each, at every other moment.
    assert parts["laplacian"].item() == pytest.approx(3.0 * (0.4 + 0.3) / COORDINATES)
    # 0, 0.3, 0, 0.3 has the std 0.3 / sqrt(3), and steps of 0.3 that count 10 times.
    moments = 0.3 / 3**0.5 + 10 * 0.3
    assert parts["moments"].item() == pytest.approx(moments / COORDINATES)
    assert parts["pose"].item() == pytest.approx(4.0 * 0.5 * moments / 5)
    assert parts["gan"].item() == pytest.approx(0.5 * (1.0 + 0.16) / 2)


def conversion_losses(network, mel, f0, embedding, code_weight: float) -> dict[str, torch.Tensor]:
    settings = VoiceConversionTraining(root_dir=Path(), code_weight=code_weight)
    batch = voice_conversion.reconstruct(network, mel, mel, f0, embedding)
    return weighted_losses(conversion.LOSSES, settings, batch)


def test_the_losses_of_voice_conversion():
    network = AutoVC(AutoVCConfig(dim_neck=4, dim_pre=32, freq=8))
    with torch.no_grad():
        for weight in network.parameters():
            weight.zero_()
        network.decoder.linear_projection.linear_layer.bias.fill_(0.2)
        network.postnet.convolutions[-1][1].bias.fill_(0.1)
    mel, f0 = torch.full((2, 16, 80), 0.5), torch.zeros(2, 16, 257)
    parts = conversion_losses(network, mel, f0, torch.zeros(2, 256), code_weight=0.0)
    # 0.2 everywhere before the post-net, which adds 0.1: 0.3^2 and 0.2^2 from 0.5
    assert {key: value.item() for key, value in parts.items()} == pytest.approx(
        {"first": 0.09, "refined": 0.04}
    )


def test_the_loss_of_the_code_compares_input_and_prediction():
    torch.manual_seed(0)
    network = AutoVC(AutoVCConfig(dim_neck=4, dim_pre=32, freq=8)).eval()
    mel, f0, embedding = torch.rand(2, 16, 80), torch.rand(2, 16, 257), torch.rand(2, 256)
    parts = conversion_losses(network, mel, f0, embedding, code_weight=0.5)
    _, refined, _ = network(mel, embedding, embedding, f0)
    difference = (network(refined, embedding) - network(mel, embedding)).abs().mean()
    assert difference.item() > 1e-4
    assert parts["code"].item() == pytest.approx(0.5 * difference.item(), rel=1e-5)
