"""The 68 landmarks are found on faces of any size, anywhere in an image."""

import hashlib
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from src.errors import InputError
from src.face.detection import detect_landmarks, track_landmarks
from src.face.detectors import CHOICES, DETECTORS, load
from src.face.topology import MIRRORED
from thirdparty import face_mesh, fan

SHARED = Path(__file__).resolve().parents[3] / "shared"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared")

# Places of the astronaut's face read off scikit-image's image by eye: x, y in pixels.
ASTRONAUT_BY_EYE = {
    36: (194, 101),
    45: (257, 104),
    30: (224, 126),
    48: (203, 140),
    54: (244, 140),
    8: (223, 178),
}


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return skimage.data.astronaut()[:, :, ::-1].copy()


@pytest.fixture(scope="module")
def landmarks(astronaut) -> np.ndarray:
    return detect_landmarks(astronaut, "mediapipe", "astronaut.png")


def distance(found: np.ndarray, expected: np.ndarray) -> float:
    """Mean distance in the plane, in percent of the expected jaw's width."""
    apart = np.linalg.norm(found[:, :2] - expected[:, :2], axis=1).mean()
    return 100 * apart / np.linalg.norm(expected[0, :2] - expected[16, :2])


def test_weights_blend_and_mirror():
    weights = face_mesh.ibug_weights()
    assert weights.shape == (68, 478)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    np.testing.assert_array_equal(MIRRORED[MIRRORED], np.arange(68))
    assert MIRRORED[[0, 8, 17, 36, 39, 48, 60, 61, 67]].tolist() == [
        16,
        8,
        26,
        45,
        42,
        54,
        64,
        63,
        65,
    ]


def test_points_sit_on_the_face(landmarks):
    assert landmarks.shape == (68, 3)
    for point, place in ASTRONAUT_BY_EYE.items():
        assert np.hypot(*(landmarks[point, :2] - place)) < 4, point


def test_ibug_order(landmarks):
    x, y, z = landmarks.T
    assert np.all(np.diff(x[1:16]) > 0), "the jaw runs from the subject's right ear to the left"
    assert y[8] == y.max()
    assert np.all(np.diff(x[17:27]) > 0) and np.all(np.diff(y[27:31]) > 0)
    assert np.all(np.diff(x[31:36]) > 0) and np.all(np.diff(x[48:55]) > 0)
    assert x[36] < x[37] < x[38] < x[39] < x[42] < x[43] < x[44] < x[45]
    assert (y[[37, 38, 43, 44]] < y[[41, 40, 47, 46]]).all()
    assert (y[[61, 62, 63]] < y[[67, 66, 65]]).all()
    assert z[30] > z[[0, 16]].max() and z[30] > z[8], "depth grows towards the camera"
    gaps = np.linalg.norm(np.diff(landmarks[:17, :2], axis=0), axis=1)
    assert gaps.max() < 2 * gaps.min()


@pytest.mark.parametrize("side", [64, 200, 1024, 4000])
def test_any_size(astronaut, landmarks, side):
    scale = side / 512
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    image = cv2.resize(astronaut, (side, side), interpolation=method)
    expected = (landmarks[:, :2] + 0.5) * scale - 0.5
    # At 64 pixels the face is 12 pixels wide.
    assert distance(detect_landmarks(image, "mediapipe"), expected) < (6 if side == 64 else 1.5)


def test_small_face_in_a_large_image(astronaut, landmarks):
    image = cv2.resize(skimage.data.coffee()[:, :, ::-1], (3000, 2000))
    image[300:812, 2200:2712] = astronaut
    found = detect_landmarks(image, "mediapipe")
    assert distance(found, landmarks[:, :2] + (2200, 300)) < 1.5


def test_face_at_the_border(astronaut, landmarks):
    # Twenty pixels of the jaw are cut off on the left.
    left = round(landmarks[:, 0].min()) + 20
    found = detect_landmarks(astronaut[:, left:].copy(), "mediapipe")
    assert distance(found, landmarks[:, :2] - (left, 0)) < 5


@pytest.mark.parametrize("margin", [10, -10])
def test_face_that_fills_the_image(astronaut, landmarks, margin):
    low = np.floor(landmarks[:, :2].min(axis=0)).astype(int) - margin
    high = np.ceil(landmarks[:, :2].max(axis=0)).astype(int) + margin
    found = detect_landmarks(astronaut[low[1] : high[1], low[0] : high[0]].copy(), "mediapipe")
    assert distance(found, landmarks[:, :2] - low) < 3


def test_greyscale_and_transparent_images(astronaut, landmarks):
    grey = cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY)
    assert distance(detect_landmarks(grey, "mediapipe"), landmarks) < 1.5
    transparent = cv2.cvtColor(astronaut, cv2.COLOR_BGR2BGRA)
    transparent[:, 300:, 3] = 0
    assert distance(detect_landmarks(transparent, "mediapipe"), landmarks) < 1.5


def test_largest_of_several_faces(astronaut, landmarks, caplog):
    small = cv2.resize(astronaut, (300, 300), interpolation=cv2.INTER_AREA)
    image = np.full((512, 812, 3), 127, np.uint8)
    image[:300, :300] = small
    image[:, 300:] = astronaut
    with caplog.at_level(logging.WARNING):
        found = detect_landmarks(image, "mediapipe", "two.png")
    assert distance(found, landmarks[:, :2] + (300, 0)) < 1.5
    assert "two.png: 2 faces found, taking the largest" in caplog.text


@pytest.mark.parametrize(
    "image",
    [
        skimage.data.chelsea()[:, :, ::-1].copy(),
        np.full((300, 400, 3), 255, np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8),
    ],
    ids=["cat", "white", "one pixel", "noise"],
)
def test_no_face(image):
    with pytest.raises(InputError, match=r"^there\.png: no face found$"):
        detect_landmarks(image, "mediapipe", "there.png")


def test_every_detector_has_the_same_functions():
    assert ("auto", *DETECTORS) == CHOICES
    for name in DETECTORS:
        assert all(callable(getattr(load(name), part)) for part in ("available", "detect", "track"))


def test_unknown_detector(astronaut):
    with pytest.raises(InputError, match="unknown landmark detector 'dlib'"):
        detect_landmarks(astronaut, "dlib")


def test_nothing_on_the_terminal(astronaut, capfd):
    detect_landmarks(astronaut, "mediapipe")
    list(track_landmarks(iter([astronaut] * 2)))
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err == ""


def test_fan_without_weights(astronaut, landmarks, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert not fan.available()
    np.testing.assert_allclose(detect_landmarks(astronaut, "auto"), landmarks)


def test_fan_refuses_weights_that_are_not_the_published_ones(
    astronaut, tmp_path, monkeypatch, caplog
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    fan.weights_folder().mkdir(parents=True)
    for name in fan.WEIGHT_FILES:
        (fan.weights_folder() / name).write_bytes(b"something else")
    with pytest.raises(InputError, match=r"^a\.png: the fan .* is not the published file"):
        detect_landmarks(astronaut, "fan", "a.png")
    with caplog.at_level(logging.WARNING):
        assert detect_landmarks(astronaut, "auto", "a.png").shape == (68, 3)
    assert "using mediapipe" in caplog.text
    with pytest.raises(fan.Unavailable, match="is not the published file"):
        next(track_landmarks(iter([astronaut]), "fan"))


def test_fan_downloads_only_the_published_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setattr(fan, "WEIGHTS_URL", site.as_uri())
    good = f"good-{hashlib.sha256(b'weights').hexdigest()[:10]}.pth.tar"
    bad = "bad-0123456789.pth.tar"
    for name in (good, bad):
        (site / name).write_bytes(b"weights")
    assert fan.fetch_weights(good).read_bytes() == b"weights"
    with pytest.raises(fan.Unavailable, match=f"{bad} is not the published file"):
        fan.fetch_weights(bad)
    with pytest.raises(fan.Unavailable, match="cannot be downloaded"):
        fan.fetch_weights("absent-0123456789.pth")
    assert [path.name for path in fan.weights_folder().iterdir()] == [good]


def test_track_follows_a_moving_face(astronaut, landmarks):
    shifts = [(0, 0), (4, 2), (8, 4), (12, 6)]
    frames = [np.roll(astronaut, (dy, dx), axis=(0, 1)) for dx, dy in shifts]
    blank = np.zeros_like(astronaut)
    found = list(track_landmarks(iter([*frames, blank, frames[0]])))
    assert np.isnan(found[4]).all()
    for points, shift in zip(found[:4], shifts, strict=True):
        assert distance(points, landmarks[:, :2] + shift) < 2.5
    assert distance(found[5], landmarks) < 2.5


@needs_shared
@pytest.mark.parametrize("name", ["roy", "roy_example"])
def test_puppets_against_their_official_landmarks(name):
    puppets = SHARED / "puppets"
    official = np.loadtxt(puppets / f"{name}_face_open_mouth.txt").reshape(68, 3)
    image = cv2.imread(str(puppets / f"{name}.png"), cv2.IMREAD_UNCHANGED)
    assert distance(detect_landmarks(image, "mediapipe", name), official) < 4


@needs_shared
def test_every_portrait_has_a_face():
    images = sorted((SHARED / "portraits").iterdir())
    images += sorted((SHARED / "train" / "portraits").glob("mit_*"))[::6]
    for path in images:
        image = cv2.imread(str(path))
        if path.name.startswith("no_face"):
            with pytest.raises(InputError, match=path.name):
                detect_landmarks(image, "mediapipe", path.name)
        else:
            points = detect_landmarks(image, "mediapipe", path.name)
            assert np.linalg.norm(points[0, :2] - points[16, :2]) > 0.05 * image.shape[1], path
