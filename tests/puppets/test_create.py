"""Start of the landmark editor."""

import numpy as np
import pytest

from src.puppets.create import initial_face
from tests.puppets.sample import SHARED, needs_shared


@needs_shared
def test_the_initial_face_is_in_the_centre_of_the_image():
    standard_face = np.loadtxt(SHARED / "STD_FACE_LANDMARKS.txt")
    face = initial_face(np.full((120, 200, 3), 128, np.uint8), standard_face)
    assert np.ptp(face[:, 0]) == pytest.approx(60, abs=1)
    assert (face > (60, 20)).all() and (face < (140, 100)).all()
    assert face[8, 1] > face[57, 1] > face[30, 1] > face[36, 1]
