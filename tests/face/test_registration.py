"""Registration of faces and whole clips."""

import cv2
import numpy as np
import pytest

from src.face import registration as faces
from src.face.registration import register
from src.face.topology import RIGID_POINTS
from tests.data.samples import face


def test_the_mirror_of_the_mirror_is_the_face():
    order = faces.mirror_order()
    assert np.array_equal(order[order], np.arange(68))
    assert (order[36], order[37], order[48], order[60], order[31]) == (45, 44, 54, 64, 35)


def test_the_standard_face_is_upright_symmetric_and_of_the_right_size():
    rng = np.random.default_rng(2)
    many = []
    for _ in range(8):
        angle = rng.normal(0, 0.2)
        turn = np.array(
            [[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
        )
        many.append(face() @ turn * rng.uniform(50, 200) + rng.uniform(0, 300, 3))
    standard = faces.standard_face(np.array(many))
    order = faces.mirror_order()
    assert np.abs(standard - standard[order] * [-1, 1, 1]).max() < 1e-9
    assert standard[16, 0] - standard[0, 0] == pytest.approx(1.6)
    assert standard[36, 1] == pytest.approx(standard[0, 1], abs=1e-6)


def test_head_motion_survives_registering_a_whole_clip():
    shift = np.linspace(-5, 5, 30)[:, None, None] * [1.0, 0, 0]
    track = face() * 100 + shift
    moved = faces.register_clip(track, face())
    assert np.ptp(moved[:, 30, 0]) == pytest.approx(0.1, rel=1e-3)
    still = register(track, face())
    assert np.ptp(still[:, 30, 0]) < 1e-9


def nodding(frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A face that turns and wanders in pixels (T, 68, 3), the turns and the standard face."""
    standard = face()
    angles = np.radians(8) * np.sin(np.arange(frames) / 5)
    turns = np.stack([cv2.Rodrigues(np.array([0.3 * a, a, 0.5 * a]))[0] for a in angles])
    track = 90 * standard @ np.swapaxes(turns, -1, -2) + [200, 150, 0]
    track[..., 0] += np.linspace(0, 30, frames)[:, None]
    return track, turns, standard


def test_registration_of_a_whole_clip_keeps_its_motion():
    track, _, standard = nodding(40)
    laid = faces.register_clip(track, standard)
    rigid = RIGID_POINTS
    # Its mean pose is the standard face's, as far as a mean of turned faces can be.
    assert np.abs(laid.mean(0)[rigid] - standard[rigid]).max() < 0.02
    # One scale for all: 30 pixels are a third of a unit.
    wandered = laid[-1, rigid].mean(0) - laid[0, rigid].mean(0)
    assert np.linalg.norm(wandered) == pytest.approx(30 / 90, rel=0.05)


def test_pose_and_shape_of_a_head_come_apart():
    track, turns, standard = nodding(40)
    posed = track.reshape(40, -1)
    course = faces.head_poses(posed, standard)
    assert course.rot_trans.shape == (40, 3, 4)
    assert course.rot_quat.shape == (40, 4)
    anchored = course.anchor_t_shape.reshape(40, 68, 3)
    np.testing.assert_allclose(anchored, np.repeat(standard[None], 40, 0), atol=1e-5)
    whole = np.concatenate([anchored, np.ones((40, 68, 1))], -1)
    np.testing.assert_allclose(
        whole @ np.swapaxes(course.rot_trans, -1, -2), track, rtol=1e-4, atol=1e-3
    )
    np.testing.assert_allclose(course.rot_trans[:, :, :3] / 90, turns, atol=1e-4)
    w, x, y, z = course.rot_quat.T
    np.testing.assert_allclose(1 - 2 * (y**2 + z**2), turns[:, 0, 0], atol=1e-5)
    np.testing.assert_allclose(2 * (x * y - w * z), turns[:, 0, 1], atol=1e-5)
