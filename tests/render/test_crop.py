"""The face square frames faces as the release does, and goes back without a trace."""

import cv2
import numpy as np
import pytest
import skimage.data

from src.face.detection import detect_landmarks
from src.render.crop import CROP_SIZE, FaceCrop, cut, face_crop, paste


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return skimage.data.astronaut()[:, :, ::-1].copy()


@pytest.fixture(scope="module")
def landmarks(astronaut) -> np.ndarray:
    return detect_landmarks(astronaut, "mediapipe")


def inside(picture: np.ndarray, crop: FaceCrop) -> np.ndarray:
    """(H, W) mask of the pixels whose centre lies in the square."""
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]] + 0.5
    return (x >= crop.x) & (x <= crop.x + crop.size) & (y >= crop.y) & (y <= crop.y + crop.size)


def test_face_is_framed_as_in_the_release(landmarks):
    crop = face_crop(landmarks)
    points = crop.to_crop(landmarks)
    assert 0.40 < np.ptp(points[:17, 0]) / CROP_SIZE < 0.52
    middle = (points[:, :2].min(axis=0) + points[:, :2].max(axis=0)) / 2 / CROP_SIZE
    np.testing.assert_allclose(middle, (0.50, 0.57), atol=0.01)


def test_maps_are_exact_inverses(landmarks):
    crop = FaceCrop(-31.7, 12.25, 177.3)
    np.testing.assert_allclose(crop.to_picture(crop.to_crop(landmarks)), landmarks, atol=1e-9)
    corners = np.array([[-32.2, 11.75], [145.1, 189.05]])
    np.testing.assert_allclose(crop.to_crop(corners), [[-0.5, -0.5], [255.5, 255.5]], atol=1e-9)
    flat = crop.to_crop(landmarks[None, :, :2])
    assert flat.shape == (1, 68, 2)
    scale = CROP_SIZE / 177.3
    np.testing.assert_allclose(crop.to_crop(landmarks)[:, 2], landmarks[:, 2] * scale)


def test_whole_pixels_are_copied(astronaut):
    crop = FaceCrop(100, 20, 256)
    np.testing.assert_array_equal(cut(astronaut, crop), astronaut[20:276, 100:356])
    np.testing.assert_array_equal(paste(astronaut, crop, cut(astronaut, crop)), astronaut)


@pytest.mark.parametrize("size", [96.0, 201.3, 256.0, 410.7, 900.5])
def test_pixels_lie_where_the_maps_say(size):
    # A picture whose colour is its coordinate: what is read in the crop must be that coordinate.
    side = 1000
    ramp = np.arange(side, dtype=np.float64) / side * 255
    picture = np.zeros((side, side, 3), np.uint8)
    picture[:, :, 0] = np.round(ramp)[None, :]
    picture[:, :, 1] = np.round(ramp)[:, None]
    crop = FaceCrop(37.4, 51.9, size)
    image = cut(picture, crop).astype(float)
    grid = np.stack(np.meshgrid(np.arange(256.0), np.arange(256.0)), axis=-1)
    expected = crop.to_picture(grid) / side * 255
    assert np.abs(image[:, :, :2] - expected).max() < 1.3
    assert np.abs((image[:, :, :2] - expected).mean()) < 0.2


def test_landmarks_of_the_crop_are_those_of_the_picture(astronaut, landmarks):
    crop = face_crop(landmarks)
    found = detect_landmarks(cut(astronaut, crop), "mediapipe")
    apart = np.linalg.norm(found[:, :2] - crop.to_crop(landmarks)[:, :2], axis=1)
    assert apart.mean() < 1.5


def test_edges_are_repeated_outside(astronaut):
    image = cut(astronaut, FaceCrop(-128, -128, 256))
    np.testing.assert_array_equal(image[128:, 128:], astronaut[:128, :128])
    assert (image[:128, :128] == astronaut[0, 0]).all()
    assert (image[:128, 128:] == astronaut[0, :128]).all()


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


def test_no_fade_along_the_picture_s_own_edge():
    grey = np.full((256, 256, 3), 100, np.uint8)
    pasted = paste(grey, FaceCrop(0, 0, 256), np.full((256, 256, 3), 140, np.uint8))
    assert (pasted == 140).all()
    pasted = paste(grey, FaceCrop(-30, 20, 200), np.full((256, 256, 3), 140, np.uint8))
    assert (pasted[80:160, 0] == 140).all() and (pasted[:20] == 100).all()


def test_alpha_and_inputs_are_left_alone(astronaut):
    picture = cv2.cvtColor(astronaut, cv2.COLOR_BGR2BGRA)
    picture[:, :, 3] = np.arange(512) % 256
    before = picture.copy()
    pasted = paste(picture, FaceCrop(90, 30, 300), np.zeros((256, 256, 3), np.uint8))
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(pasted[:, :, 3], picture[:, :, 3])
    assert (pasted[150:200, 200:260, :3] == 0).all()


def test_crop_that_misses_the_picture(astronaut):
    crop = FaceCrop(2000, 10, 100)
    assert (cut(astronaut, crop)[:, 0] == cut(astronaut, crop)[:, -1]).all()
    np.testing.assert_array_equal(
        paste(astronaut, crop, np.zeros((256, 256, 3), np.uint8)), astronaut
    )
