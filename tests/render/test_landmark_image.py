"""The landmark image is pixel by pixel the published release's."""

import numpy as np
import pytest

from src.face.topology import LANDMARK_CURVES
from src.render.landmark_image import (
    CURVE_COLOURS,
    draw_landmarks,
    landmark_image,
)
from tests.parity import goldens


@pytest.fixture(scope="module")
def pipeline() -> dict:
    return goldens("pipeline")


def test_every_curve_has_a_colour():
    assert [name for name, _, _ in LANDMARK_CURVES] == list(CURVE_COLOURS)


def test_image_is_identical_to_the_released_one(pipeline):
    drawn = landmark_image(pipeline["landmarks_frame10"])
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn, pipeline["landmark_image_frame10"])


def test_overlay_keeps_the_image_and_takes_points_outside_it(pipeline):
    landmarks = pipeline["landmarks_frame10"] + [150, 0]
    image = np.full((256, 300, 3), 7, np.uint8)
    draw_landmarks(image, landmarks)
    drawn = landmark_image(landmarks, (256, 300))
    line = (drawn != 255).any(-1)
    assert 500 < line.sum() < 5000
    assert (image[~line] == 7).all()
    np.testing.assert_array_equal(image[line], drawn[line])


@pytest.mark.parametrize("axis", [0, 1])
def test_smooth_lines_lie_on_the_points_and_follow_fractions_of_a_pixel(axis):
    def place(at: float) -> float:
        """Where the ink lies of a straight line along the other axis."""
        landmarks = np.full((68, 3), at)
        landmarks[:, 1 - axis] = np.linspace(20, 200, 68)
        ink = 255.0 - landmark_image(landmarks, antialiased=True).min(-1)
        across = ink[:, 100] if axis else ink[100]
        return (np.arange(256) * across).sum() / across.sum()

    for at in (100.0, 100.25, 100.5, 100.75, 107.0):
        assert abs(place(at) - at) < 0.1
