"""The square round a face frames it as the release does."""

import numpy as np
import pytest
import skimage.data

from src.face.crop import FaceCrop, cut, face_crop
from src.face.detection import detect_landmarks
from src.models.dimensions import IMAGE_SIZE


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return skimage.data.astronaut()[:, :, ::-1].copy()


@pytest.fixture(scope="module")
def landmarks(astronaut) -> np.ndarray:
    return detect_landmarks(astronaut, "mediapipe")


def test_face_is_framed_as_in_the_release(landmarks):
    crop = face_crop(landmarks)
    points = crop.to_crop(landmarks)
    assert 0.40 < np.ptp(points[:17, 0]) / IMAGE_SIZE < 0.52
    middle = (points[:, :2].min(axis=0) + points[:, :2].max(axis=0)) / 2 / IMAGE_SIZE
    np.testing.assert_allclose(middle, (0.50, 0.57), atol=0.01)


def test_maps_are_exact_inverses(landmarks):
    crop = FaceCrop(-31.7, 12.25, 177.3)
    np.testing.assert_allclose(crop.to_image(crop.to_crop(landmarks)), landmarks, atol=1e-9)
    corners = np.array([[-32.2, 11.75], [145.1, 189.05]])
    np.testing.assert_allclose(crop.to_crop(corners), [[-0.5, -0.5], [255.5, 255.5]], atol=1e-9)
    flat = crop.to_crop(landmarks[None, :, :2])
    assert flat.shape == (1, 68, 2)
    scale = IMAGE_SIZE / 177.3
    np.testing.assert_allclose(crop.to_crop(landmarks)[:, 2], landmarks[:, 2] * scale)


@pytest.mark.parametrize("size", [96.0, 201.3, 256.0, 410.7, 900.5])
def test_pixels_lie_where_the_maps_say(size):
    # The colour of each pixel is its coordinate.
    side = 1000
    ramp = np.arange(side, dtype=np.float64) / side * 255
    gradient = np.zeros((side, side, 3), np.uint8)
    gradient[:, :, 0] = np.round(ramp)[None, :]
    gradient[:, :, 1] = np.round(ramp)[:, None]
    crop = FaceCrop(37.4, 51.9, size)
    image = cut(gradient, crop).astype(float)
    grid = np.stack(np.meshgrid(np.arange(256.0), np.arange(256.0)), axis=-1)
    expected = crop.to_image(grid) / side * 255
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
