"""Geometry of 68 landmarks, on a real face and against the published release's numbers."""

from pathlib import Path

import numpy as np
import pytest

from src.face import geometry, topology
from src.models.loading import load_standard_face
from tests.parity import goldens

CHECKPOINTS = Path(__file__).resolve().parents[2] / "examples" / "ckpt"


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    return load_standard_face(CHECKPOINTS)


@pytest.fixture(scope="module")
def pipeline() -> dict:
    return goldens("pipeline")


def test_curves_cover_every_point_once():
    points = [p for _, s, _ in topology.LANDMARK_CURVES for p in range(s.start, s.stop)]
    assert points == list(range(topology.LANDMARK_COUNT))


def test_neighbours_are_the_two_along_the_curve_and_one_twice_at_an_open_end():
    neighbours = [tuple(pair) for pair in topology.curve_neighbours().tolist()]
    assert len(neighbours) == 68
    assert neighbours[0] == (1, 1) and neighbours[16] == (15, 15) and neighbours[8] == (7, 9)
    assert neighbours[36] == (41, 37) and neighbours[59] == (58, 48) and neighbours[67] == (66, 60)


def test_normalise_as_released(pipeline):
    touched = geometry.slim_lips_widen_eyes(pipeline["landmarks_in"])
    depth = np.linspace(-1, 1, 68)
    normalised, scale, shift = geometry.normalise(touched, depth)
    np.testing.assert_allclose(normalised[:, :2], pipeline["landmarks_normalised"], atol=1e-12)
    np.testing.assert_allclose(normalised[:, 2], 0.1 * depth, atol=1e-12)
    np.testing.assert_allclose(scale, pipeline["scale"], rtol=1e-12)
    np.testing.assert_allclose(shift, pipeline["shift"], rtol=1e-12)
    back = geometry.denormalise(normalised, scale, shift)
    np.testing.assert_allclose(back[:, :2], touched[:, :2], atol=1e-9)


def test_close_mouth_as_released(pipeline):
    closed = geometry.close_mouth(pipeline["landmarks_in"])
    np.testing.assert_allclose(closed, pipeline["landmarks_closed_mouth"], atol=1e-10)


def test_scale_of_an_upright_face_is_negative_and_its_jaw_1_6_wide(face):
    normalised, scale, _ = geometry.normalise(face * 70 + 128, face[:, 2])
    assert scale < 0
    assert normalised[16, 0] - normalised[0, 0] == pytest.approx(1.6)
    assert normalised[8, 1] > normalised[27, 1], "y still points down"


def test_a_face_without_a_jaw_is_refused():
    with pytest.raises(ValueError, match="jaw"):
        geometry.normalise(np.zeros((68, 3)), np.zeros(68))
    with pytest.raises(ValueError, match="68 finite points"):
        geometry.normalise(np.full((68, 3), np.nan), np.zeros(68))


def test_inner_lip_area_is_positive_for_an_open_mouth_and_negative_for_crossed_lips(face):
    opened, crossed = face.copy(), face.copy()
    for upper, lower in topology.INNER_LIP_PAIRS:
        opened[upper, 1], opened[lower, 1] = 0.6, 0.8
        crossed[upper, 1], crossed[lower, 1] = 0.8, 0.6
    areas = geometry.inner_lip_area(np.stack([opened, crossed]))
    assert areas[0] > 0.02 and areas[1] < -0.02
