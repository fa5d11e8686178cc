"""The paper's metrics by hand."""

import numpy as np
import pytest

from src.metrics.registry import measure
from tests.metrics.faces import irregular_face as face
from tests.metrics.faces import turned


def test_lips_and_jaw_by_hand():
    reference, predicted = face(3), face(3)
    predicted[:, 57] += [0, 3, 4]  # one of the 25 points of jaw and lower lip, by 5
    predicted[1, 8] += [2, 0, 0]  # another, in one of three frames, by 2
    predicted[:, 30] += 9  # the nose does not count
    found = measure("lips", predicted, reference)
    per_point = (5 + 2 / 3) / 25
    assert found["D-LL"] == pytest.approx(100 * per_point / 40)
    # Point 8 goes and comes back by 2: 2 in both of two differences, over 25 points.
    assert found["D-VL"] == pytest.approx(100 * (2 / 25) / 40)
    assert found["D-A"] == 0


def test_width_of_the_mouth_is_the_largest_of_the_ground_truth():
    reference, predicted = face(2), face(2)
    reference[1, 54, 0] += 40
    predicted[:, 57, 0] += 1
    assert measure("lips", predicted, reference)["D-LL"] == pytest.approx(100 * (1 / 25) / 80)


def test_mouth_area_by_hand():
    reference, predicted = face(2), face(2)
    # Inner lips: 20 wide in full height, and two triangles of 5 at the sides: 25 by the height.
    reference[0, 65:68, 1] += 2  # height 4 in one frame, 2 in the other: areas 100 and 50
    predicted[0, 65:68, 1] -= 4  # crossed: an area below zero counts as shut
    found = measure("lips", predicted, reference)
    assert found["D-A"] == pytest.approx(100 * (100 + 0) / 2 / 100)
    shut = face(2)
    shut[:, 60:68, 1] = 40
    assert np.isnan(measure("lips", predicted, shut)["D-A"])


def test_head_by_hand():
    still, reference = face()[0], face(2)
    predicted = face(2) + [3, 0, 4]
    found = measure("face", predicted, reference)
    found |= measure("pose", predicted, reference, still)
    assert found["D-L"] == pytest.approx(5) == found["D-Pos"]  # of a face 100 wide
    assert found["D-V"] == pytest.approx(0)
    assert found["D-Rot"] == pytest.approx(0, abs=1e-6)
    predicted = face(2)
    predicted[1] = turned(predicted[1:], 12, 2)[0]
    found = measure("pose", predicted, reference, still)
    assert found["D-Rot"] == pytest.approx(6)  # 12 degrees in one of two frames
    assert found["D-Pos"] == pytest.approx(0, abs=1e-9)


def test_velocity_of_all_points_by_hand():
    reference, predicted = face(3), face(3)
    predicted[1] += [0, 2, 0]  # there and back
    assert measure("face", predicted, reference)["D-V"] == pytest.approx(2)
