"""Rotations of a head are found as they were put there."""

import numpy as np
import pytest

from src.face.pose import head_angles, head_pose, rotation_angle
from tests.metrics.faces import irregular_face as face
from tests.metrics.faces import turned


@pytest.mark.parametrize(("axis", "place"), [(1, 0), (0, 1), (2, 2)])  # yaw, pitch, roll
def test_angles_of_a_head(axis, place):
    still = face()[0]
    rotations, _ = head_pose(turned(face(), 25, axis), still)
    found = np.abs(head_angles(rotations)[0])
    assert found[place] == pytest.approx(25)
    assert np.delete(found, place) == pytest.approx(0, abs=1e-6)
    larger, _ = head_pose(turned(face(), 37, axis), still)
    assert rotation_angle(rotations, larger) == pytest.approx(12)
