"""Registration of faces and whole clips."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from src.face import registration as faces
from src.face.registration import register, similarity_matrix
from src.face.topology import INNER_LIPS, MIRRORED, RIGID_POINTS
from src.models.loading import load_standard_face
from tests.data.samples import face
from tests.metrics.faces import irregular_face, turned

CHECKPOINTS = Path(__file__).resolve().parents[2] / "examples" / "ckpt"


@pytest.fixture(scope="module")
def reference() -> np.ndarray:
    return load_standard_face(CHECKPOINTS)


def test_the_mirror_of_the_mirror_is_the_face():
    order = MIRRORED
    assert np.array_equal(order[order], np.arange(68))
    assert (order[36], order[37], order[48], order[60], order[31]) == (45, 44, 54, 64, 35)


def test_the_standard_face_is_upright_symmetric_and_of_the_right_size():
    rng = np.random.default_rng(2)
    many = []
    for _ in range(8):
        angle = rng.normal(0, 0.2)
        rotation = np.array(
            [[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
        )
        many.append(face() @ rotation * rng.uniform(50, 200) + rng.uniform(0, 300, 3))
    standard = faces.standard_face(np.array(many))
    assert np.abs(standard - standard[MIRRORED] * [-1, 1, 1]).max() < 1e-9
    assert standard[16, 0] - standard[0, 0] == pytest.approx(1.6)
    assert standard[36, 1] == pytest.approx(standard[0, 1], abs=1e-6)


def test_head_motion_survives_registering_a_whole_clip():
    shift = np.linspace(-5, 5, 30)[:, None, None] * [1.0, 0, 0]
    track = face() * 100 + shift
    moved = register(track, face(), keep_motion=True)
    assert np.ptp(moved[:, 30, 0]) == pytest.approx(0.1, rel=1e-3)
    still = register(track, face())
    assert np.ptp(still[:, 30, 0]) < 1e-9


def test_register_undoes_pose_and_size_but_not_speech(reference):
    spoken = reference.copy()
    spoken[INNER_LIPS, 1] += 0.1
    angle = 0.4
    rotation = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    moved = np.stack([spoken @ rotation * 90 + 200, spoken @ rotation.T * 30 - 5])
    np.testing.assert_allclose(register(moved, reference), [spoken, spoken], atol=1e-9)


def test_register_never_mirrors(reference):
    mirrored = reference * [-1, 1, 1]
    registered = register(mirrored, reference)
    rigid = RIGID_POINTS
    assert np.abs(registered[rigid] - reference[rigid]).max() > 0.05


def test_similarity_in_the_plane_is_the_inverse_of_what_was_applied():
    points = face()[:, :2]
    angle, scale, shift = 0.3, 1.7, np.array([4.0, -2.0])
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = scale * points @ rotation.T + shift
    expected = np.column_stack([scale * rotation, shift])
    np.testing.assert_allclose(similarity_matrix(points, moved), expected, atol=1e-12)
    both = similarity_matrix(np.stack([points, moved]), np.stack([moved, moved]))
    np.testing.assert_allclose(both, [expected, np.eye(2, 3)], atol=1e-12)


def nodding(frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A face that rotates and moves in pixels (T, 68, 3), the rotations and the standard face."""
    standard = face()
    angles = np.radians(8) * np.sin(np.arange(frames) / 5)
    rotations = np.stack([cv2.Rodrigues(np.array([0.3 * a, a, 0.5 * a]))[0] for a in angles])
    track = 90 * standard @ np.swapaxes(rotations, -1, -2) + [200, 150, 0]
    track[..., 0] += np.linspace(0, 30, frames)[:, None]
    return track, rotations, standard


def test_registration_of_a_whole_clip_keeps_its_motion():
    track, _, standard = nodding(40)
    registered = register(track, standard, keep_motion=True)
    rigid = RIGID_POINTS
    # Its mean pose is the standard face's, as far as a mean of rotated faces can be.
    assert np.abs(registered.mean(0)[rigid] - standard[rigid]).max() < 0.02
    # One scale for all: 30 pixels are a third of a unit.
    travelled = registered[-1, rigid].mean(0) - registered[0, rigid].mean(0)
    assert np.linalg.norm(travelled) == pytest.approx(30 / 90, rel=0.05)


def test_pose_and_shape_are_separated():
    track, rotations, standard = nodding(40)
    posed = track.reshape(40, -1)
    poses = faces.head_poses(posed, standard)
    assert poses.rot_trans.shape == (40, 3, 4)
    assert poses.rot_quat.shape == (40, 4)
    shapes = poses.anchor_t_shape.reshape(40, 68, 3)
    np.testing.assert_allclose(shapes, np.repeat(standard[None], 40, 0), atol=1e-5)
    whole = np.concatenate([shapes, np.ones((40, 68, 1))], -1)
    np.testing.assert_allclose(
        whole @ np.swapaxes(poses.rot_trans, -1, -2), track, rtol=1e-4, atol=1e-3
    )
    np.testing.assert_allclose(poses.rot_trans[:, :, :3] / 90, rotations, atol=1e-4)
    w, x, y, z = poses.rot_quat.T
    np.testing.assert_allclose(1 - 2 * (y**2 + z**2), rotations[:, 0, 0], atol=1e-5)
    np.testing.assert_allclose(2 * (x * y - w * z), rotations[:, 0, 1], atol=1e-5)


@pytest.mark.parametrize(("axis", "place"), [(1, 0), (0, 1), (2, 2)])  # yaw, pitch, roll
def test_angles_of_a_head(axis, place):
    still = irregular_face()[0]
    rotations, _ = faces.head_pose(turned(irregular_face(), 25, axis), still)
    found = np.abs(faces.head_angles(rotations)[0])
    assert found[place] == pytest.approx(25)
    assert np.delete(found, place) == pytest.approx(0, abs=1e-6)
    larger, _ = faces.head_pose(turned(irregular_face(), 37, axis), still)
    assert faces.rotation_angle(rotations, larger) == pytest.approx(12)
