"""Every loss of the trainings against numbers worked out by hand."""

import numpy as np
import pytest
import torch

from src.face.topology import LANDMARK_COUNT
from src.models.autovc import AutoVC
from src.models.config import AutoVCConfig
from src.training import content, losses, speaker_aware, voice_conversion

LIP_POINTS, OTHER_POINTS = 20, 48
COORDINATES = 3 * LANDMARK_COUNT
RUN = 4


def y_of(point: int) -> int:
    return 3 * point + 1


def test_a_shut_mouth_weighs_ten_times_as_much_as_the_rest_of_the_face():
    true = torch.zeros(2, COORDINATES)
    true[1, y_of(66)] = 0.1  # the lower inner lip a tenth below the upper one
    weights = losses.lip_weights(true)
    # 1 / (4 * 0 + 0.1) = 10 and 1 / (4 * 0.1 + 0.1) = 2
    assert weights[0, 3 * 48 :].tolist() == pytest.approx([10.0] * 3 * LIP_POINTS)
    assert weights[1, 3 * 48 :].tolist() == pytest.approx([2.0] * 3 * LIP_POINTS)
    assert weights[:, : 3 * 48].eq(1).all()


def test_lips_that_have_crossed_weigh_as_open_ones():
    true = torch.zeros(1, COORDINATES)
    true[0, y_of(66)] = -0.1
    assert losses.lip_weights(true)[0, -1].item() == pytest.approx(2.0)


def test_weighted_l1():
    made, true = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])
    # (3 * |1 - 0| + 0.5 * |2 - 4|) / 2 = 2
    assert losses.weighted_l1(made, true, torch.tensor([[3.0, 0.5]])).item() == pytest.approx(2.0)


def test_the_square_loss_sees_lips_only_in_their_own_scale():
    made, true = torch.zeros(2, COORDINATES), torch.zeros(2, COORDINATES)
    made[0, y_of(8)] = 5.0  # the chin
    assert losses.lip_square(made, true).item() == 0
    made[0, y_of(62)] = 0.06
    # (0.06 / 0.03)^2 = 4 in one of 2 * 20 * 3 coordinates
    assert losses.lip_square(made, true).item() == pytest.approx(4 / 120)


def test_the_laplacian_of_a_straight_brow_is_zero_and_of_a_bent_one_is_not():
    points = torch.zeros(LANDMARK_COUNT, 3)
    points[17:22, 0] = torch.arange(5.0)
    assert losses.laplacian(points.flatten())[18:21].abs().max().item() == 0
    points[19, 1] = 1.0
    bent = losses.laplacian(points.flatten())[:, 1]
    assert bent[18:21].tolist() == [-0.5, 1.0, -0.5]  # each less the mean of its neighbours
    assert bent.abs().sum().item() == 2.0  # and no other curve has point 19


def test_the_laplacian_closes_eyes_and_lips_and_mirrors_the_ends_of_brows():
    points = torch.zeros(LANDMARK_COUNT, 3)
    points[36, 1] = 1.0  # first of the six points of an eye; 37 and 41 are beside it
    points[17, 1] = 1.0  # the end of a brow; 18 is beside it, and has 19 on its other side
    bent = losses.laplacian(points.flatten())[:, 1]
    assert {index: bent[index].item() for index in bent.nonzero().flatten().tolist()} == {
        **{36: 1.0, 37: -0.5, 41: -0.5},
        **{17: 1.0, 18: -0.5},
    }


def test_the_laplacian_loss():
    made, true = torch.zeros(2, COORDINATES), torch.zeros(2, COORDINATES)
    made[0, y_of(19)] = 1.0
    true[1], made[1] = 0.3, 0.8  # the same shift of all points has no Laplacian
    # |1| + |-0.5| + |-0.5| = 2 in 2 * 204 coordinates
    assert losses.laplacian_l1(made, true).item() == pytest.approx(2 / 408)


def content_options(**weights: float) -> content.Options:
    every = {"l1_weight": 1.0, "square_weight": 1.0, "laplacian_weight": 1.0, "motion_weight": 1.0}
    every["correlation_weight"] = 0.0  # as the paper
    return content.Options(
        segment_batch_size=8,
        run_length=RUN,
        learning_rate=1e-3,
        weight_decay=0.0,
        mel_noise=0.0,
        speed_change=0.0,
        shares={},
        even_clips=False,
        bfloat16=False,
        seed=0,
        **{**every, **weights},
    )


def test_the_losses_of_the_content_branch():
    true = torch.zeros(2 * RUN, COORDINATES)
    made = torch.full_like(true, 0.03)
    made[RUN:] += 0.01 * torch.arange(RUN)[:, None]
    face = torch.zeros_like(true)
    parts = content.losses(made, true, face, content_options(l1_weight=2.0, motion_weight=3.0))
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
    moved = torch.zeros(len(runs), len(runs[0]), COORDINATES)
    moved[..., y_of(66)] = 0.5 * torch.tensor(runs)
    moved[..., y_of(62)] = -0.5 * torch.tensor(runs)
    return moved


def test_the_loss_of_the_correlation_of_the_gap():
    true = gaps([0.0, 0.1, 0.0, 0.1])  # a deviation of 0.05, at and beyond 0.03 a run counts fully
    floor = losses.STILL_GAP**2

    def loss(made: list[float]) -> float:
        return losses.gap_correlation(gaps(made), true).item()

    alike = 0.05**2 / (0.05**2 + floor)  # hardly less than 1
    assert loss([0.0, 0.1, 0.0, 0.1]) == pytest.approx(1 - alike, abs=1e-6)
    assert loss([0.1, 0.0, 0.1, 0.0]) == pytest.approx(1 + alike, abs=1e-6)
    # How wide the mouth opens, and from where, makes no difference but for that floor.
    wide = 0.05 * 0.1 / ((0.05**2 + floor) * (0.1**2 + floor)) ** 0.5
    assert loss([0.3, 0.5, 0.3, 0.5]) == pytest.approx(1 - wide, abs=1e-6)
    # Neither does a mouth that stays still, or moves when the true one does not, correlate.
    assert loss([0.1, 0.1, 0.1, 0.1]) == pytest.approx(1.0)
    assert loss([0.1, 0.1, 0.0, 0.0]) == pytest.approx(1.0, abs=1e-6)


def test_a_run_counts_for_the_correlation_by_how_much_its_mouth_moves():
    made = gaps([0.1, 0.1, 0.0, 0.0], [0.1, 0.1, 0.0, 0.0], [0.1, 0.1, 0.0, 0.0])
    # Correlations of 0; deviations of 0.05 (counts 1), of 0.015 (half as much as 0.03) and of 0.
    true = gaps([0.1, 0.0, 0.1, 0.0], [0.03, 0.0, 0.03, 0.0], [0.2, 0.2, 0.2, 0.2])
    assert losses.gap_correlation(made, true).item() == pytest.approx(1.5 / 3, abs=1e-6)


def test_the_correlation_loss_has_a_gradient_where_no_mouth_moves():
    made = gaps([0.2, 0.2, 0.2, 0.2]).requires_grad_()
    losses.gap_correlation(made, gaps([0.0, 0.1, 0.0, 0.1])).backward()
    assert made.grad.isfinite().all()
    assert made.grad[0, :, y_of(66)].sign().tolist() == [1.0, -1.0, 1.0, -1.0]


def test_the_content_branch_takes_the_correlation_within_runs():
    true = gaps([0.0, 0.1, 0.0, 0.1], [0.5, 0.5, 0.6, 0.6])
    made = gaps([0.0, 0.1, 0.0, 0.1], [0.6, 0.6, 0.5, 0.5])  # correlations of 1 and of -1
    options = content_options(correlation_weight=3.0)
    flat = [runs.flatten(0, 1) for runs in (made, true, torch.zeros_like(true))]
    parts = content.losses(*flat, options)
    assert parts["correlation"].item() == pytest.approx(3.0 * (0 + 2) / 2, rel=1e-3)


def test_weights_of_lips_come_from_the_true_face():
    true, face = torch.zeros(RUN, COORDINATES), torch.zeros(RUN, COORDINATES)
    true[:, y_of(66)] = 0.06
    face[:, y_of(66)] = 0.04  # open by 0.1 together: lips weigh 2
    parts = content.losses(true + 0.5, true, face, content_options())
    weight = (OTHER_POINTS + 2 * LIP_POINTS) / LANDMARK_COUNT
    assert parts["l1"].item() == pytest.approx(0.5 * weight)


def test_moments_are_spread_and_speed():
    true = torch.zeros(1, 3, COORDINATES)
    made = torch.zeros_like(true)
    made[0, :, 0] = torch.tensor([0.0, 1.0, 2.0])
    # One coordinate of 204 has deviation 1 (unbiased) and a mean step of 1, which counts 10 times.
    assert speaker_aware.moment_loss(made, true).item() == pytest.approx((1 + 10 * 1) / COORDINATES)
    # The same motion backwards has the same moments.
    assert speaker_aware.moment_loss(made.flip(1), made).item() == pytest.approx(0.0, abs=1e-7)


def test_the_pose_of_a_head_is_read_off_its_displacement():
    face = np.random.default_rng(0).uniform(-0.5, 0.5, (LANDMARK_COUNT, 3))
    face[0], face[16] = (-0.8, 0, 0), (0.8, 0, 0)
    poses = speaker_aware.pose_matrix(face)

    def pose_of(moved: np.ndarray) -> list[float]:
        return (torch.from_numpy((moved - face).astype(np.float32)).flatten() @ poses).tolist()

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
    true, made = torch.tensor([[1.0, 0.5]]), torch.tensor([[0.5, 0.0]])
    # mean(0^2, 0.5^2) + mean(0.5^2, 0^2)
    assert speaker_aware.judging_loss(true, made).item() == pytest.approx(0.25)


def test_the_losses_of_the_speaker_aware_branch():
    true = torch.zeros(1, 4, COORDINATES)
    made = true.clone()
    made[..., y_of(19)] = 0.2  # always: no motion
    options = speaker_aware.Options(
        sequences=1,
        learning_rate=1e-3,
        discriminator_rate=1e-3,
        laplacian_weight=3.0,
        gan_weight=0.5,
        moment_weight=1.0,
        pose_weight=4.0,
        mel_noise=0.0,
        shares={},
        seed=0,
    )
    made[:, ::2, y_of(30)] = 0.3  # the nose, at every other moment
    poses = torch.zeros(COORDINATES, 5)
    poses[y_of(30), 1] = 0.5
    parts = speaker_aware.losses(made, true, torch.tensor([[0.0, 0.6]]), poses, options)
    assert parts["l1"].item() == pytest.approx((0.2 + 0.15) / COORDINATES)
    # The nose's end and its neighbour are off by 0.3 each, at every other moment.
    assert parts["laplacian"].item() == pytest.approx(3.0 * (0.4 + 0.3) / COORDINATES)
    # 0, 0.3, 0, 0.3 has the deviation 0.3 / sqrt(3), and steps of 0.3 that count 10 times.
    moments = 0.3 / 3**0.5 + 10 * 0.3
    assert parts["moments"].item() == pytest.approx(moments / COORDINATES)
    assert parts["pose"].item() == pytest.approx(4.0 * 0.5 * moments / 5)
    assert parts["gan"].item() == pytest.approx(0.5 * (1.0 + 0.16) / 2)


def test_the_losses_of_voice_conversion():
    network = AutoVC(AutoVCConfig(dim_neck=4, dim_pre=32, freq=8))
    with torch.no_grad():
        for weight in network.parameters():
            weight.zero_()
        network.decoder.linear_projection.linear_layer.bias.fill_(0.2)
        network.postnet.convolutions[-1][1].bias.fill_(0.1)
    mel, f0 = torch.full((2, 16, 80), 0.5), torch.zeros(2, 16, 257)
    parts = voice_conversion.losses(network, mel, mel, f0, torch.zeros(2, 256), code_weight=0.0)
    # 0.2 everywhere before the post-net, which adds 0.1: 0.3^2 and 0.2^2 from 0.5
    assert {key: value.item() for key, value in parts.items()} == pytest.approx(
        {"first": 0.09, "refined": 0.04}
    )


def test_the_loss_of_the_code_compares_what_is_heard_with_what_is_said_again():
    torch.manual_seed(0)
    network = AutoVC(AutoVCConfig(dim_neck=4, dim_pre=32, freq=8)).eval()
    heard, f0, embedding = torch.rand(2, 16, 80), torch.rand(2, 16, 257), torch.rand(2, 256)
    parts = voice_conversion.losses(network, heard, heard, f0, embedding, code_weight=0.5)
    _, refined, _ = network(heard, embedding, f0, embedding, f0)
    difference = (network(refined, embedding) - network(heard, embedding)).abs().mean()
    assert difference.item() > 1e-4
    assert parts["code"].item() == pytest.approx(0.5 * difference.item(), rel=1e-5)
