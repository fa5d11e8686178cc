"""The drawn landmark picture: pixel by pixel the published release's."""

import numpy as np
import pytest

from src.frames.draw import CURVE_COLOURS, draw_landmarks, landmark_picture
from src.landmarks.topology import LANDMARK_CURVES
from tests.parity import PARITY, needs_parity


@pytest.fixture(scope="module")
def pipeline() -> dict:
    return dict(np.load(PARITY / "pipeline.npz"))


def test_every_curve_has_a_colour():
    assert [name for name, _, _ in LANDMARK_CURVES] == list(CURVE_COLOURS)


@needs_parity
def test_picture_is_identical_to_the_released_one(pipeline):
    drawn = landmark_picture(pipeline["landmarks_final"][10])
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn, pipeline["landmark_image_frame10"])


@needs_parity
def test_overlay_keeps_the_picture_and_takes_points_outside_it(pipeline):
    landmarks = pipeline["landmarks_final"][10] + [150, 0, 0]
    picture = np.full((256, 300, 3), 7, np.uint8)
    draw_landmarks(picture, landmarks)
    drawn = landmark_picture(landmarks, (256, 300))
    line = (drawn != 255).any(-1)
    assert 500 < line.sum() < 5000
    assert (picture[~line] == 7).all()
    np.testing.assert_array_equal(picture[line], drawn[line])
