"""A closed mouth is closed and keeps its lips."""

import numpy as np
import pytest

from src.face.topology import INNER_LIP_PAIRS
from src.puppets.closing import close_lips
from tests.puppets.sample import DEPTH, open_face


def test_a_closed_mouth_keeps_its_lips():
    face = np.column_stack([open_face(), DEPTH])
    closed = close_lips(face)
    for upper, lower in INNER_LIP_PAIRS:
        np.testing.assert_allclose(closed[upper, :2], closed[lower, :2])
    assert closed[62, 1] - closed[51, 1] == pytest.approx(face[62, 1] - face[51, 1])
    assert closed[57, 1] - closed[66, 1] == pytest.approx(face[57, 1] - face[66, 1])
    np.testing.assert_array_equal(np.delete(closed, range(48, 68), 0), face[:48])
    np.testing.assert_array_equal(closed[:, 2], DEPTH)
    np.testing.assert_allclose(close_lips(closed), closed)
