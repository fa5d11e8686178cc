"""The square round a face goes back without a trace."""

import numpy as np
import pytest
import skimage.data

from src.face.crop import FaceCrop, cut
from src.render.compositing import Compositor


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return skimage.data.astronaut()[:, :, ::-1].copy()


def paste(image: np.ndarray, crop: FaceCrop, content: np.ndarray) -> np.ndarray:
    return Compositor(image.shape, crop).paste(image, content)


def inside(image: np.ndarray, crop: FaceCrop) -> np.ndarray:
    """(H, W) mask of the pixels whose centre lies in the square."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    return (x >= crop.x) & (x <= crop.x + crop.size) & (y >= crop.y) & (y <= crop.y + crop.size)


def test_whole_pixels_are_copied(astronaut):
    crop = FaceCrop(100, 20, 256)
    np.testing.assert_array_equal(cut(astronaut, crop), astronaut[20:276, 100:356])
    np.testing.assert_array_equal(paste(astronaut, crop, cut(astronaut, crop)), astronaut)


@pytest.mark.parametrize(
    "crop",
    [
        FaceCrop(120.3, 20.8, 200.6),
        FaceCrop(-20.5, 10.2, 250.1),
        FaceCrop(350.1, 330.9, 240.0),
        FaceCrop(150.0, 50.0, 100.4),
    ],
)
def test_unchanged_crop_leaves_no_trace(astronaut, crop):
    pasted = paste(astronaut, crop, cut(astronaut, crop))
    within = inside(astronaut, crop)
    np.testing.assert_array_equal(pasted[~within], astronaut[~within])
    assert np.abs(pasted[within].astype(int) - astronaut[within]).mean() < 2


def test_no_seam_where_a_changed_crop_ends(astronaut):
    # A crop that is brighter throughout must fade in: no step between neighbours beyond the fade's.
    grey = np.full((512, 512, 3), 100, np.uint8)
    crop = FaceCrop(100.3, 120.7, 220.9)
    pasted = paste(grey, crop, np.full((256, 256, 3), 140, np.uint8)).astype(int)
    assert np.abs(np.diff(pasted, axis=0)).max() <= 4
    assert np.abs(np.diff(pasted, axis=1)).max() <= 4
    assert (pasted[200:260, 180:240] == 140).all()
    assert (pasted[~inside(grey, crop)] == 100).all()


def test_no_fade_along_the_image_s_own_edge():
    grey = np.full((256, 256, 3), 100, np.uint8)
    pasted = paste(grey, FaceCrop(0, 0, 256), np.full((256, 256, 3), 140, np.uint8))
    assert (pasted == 140).all()
    pasted = paste(grey, FaceCrop(-30, 20, 200), np.full((256, 256, 3), 140, np.uint8))
    assert (pasted[80:160, 0] == 140).all() and (pasted[:20] == 100).all()


def test_inputs_are_left_alone(astronaut):
    before = astronaut.copy()
    pasted = paste(astronaut, FaceCrop(90, 30, 300), np.zeros((256, 256, 3), np.uint8))
    np.testing.assert_array_equal(astronaut, before)
    assert (pasted[150:200, 200:260] == 0).all()


def test_crop_that_misses_the_image(astronaut):
    crop = FaceCrop(2000, 10, 100)
    assert (cut(astronaut, crop)[:, 0] == cut(astronaut, crop)[:, -1]).all()
    np.testing.assert_array_equal(
        paste(astronaut, crop, np.zeros((256, 256, 3), np.uint8)), astronaut
    )
