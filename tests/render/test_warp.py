"""The warp renderer on two public-domain portraits: a shut mouth, and one that shows its teeth."""

import cv2
import numpy as np
import pytest
import skimage.data
from matplotlib import cbook

from src.face.detection import detect_landmarks
from src.face.registration import similarity_matrix
from src.face.topology import EYELID_PAIRS
from src.render.warp.portrait import WarpRenderer

LUMINANCE = np.array((0.114, 0.587, 0.299))


@pytest.fixture(scope="module")
def hopper():
    """Image, landmarks and renderer of a portrait with its lips together."""
    image = cv2.imread(str(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))
    landmarks = detect_landmarks(image, "mediapipe")
    return image, landmarks, WarpRenderer(image, landmarks)


@pytest.fixture(scope="module")
def astronaut():
    """The same of a portrait that smiles with its teeth."""
    image = skimage.data.astronaut()[:, :, ::-1].copy()
    landmarks = detect_landmarks(image, "mediapipe")
    return image, landmarks, WarpRenderer(image, landmarks)


def mouth_axes(landmarks: np.ndarray) -> tuple[float, np.ndarray]:
    across = landmarks[54, :2] - landmarks[48, :2]
    width = np.linalg.norm(across)
    return width, np.array([-across[1], across[0]]) / width


def gap(landmarks: np.ndarray, width: float) -> float:
    return float(np.linalg.norm(landmarks[62, :2] - landmarks[66, :2]) / width)


def with_gap(landmarks: np.ndarray, wanted: float) -> np.ndarray:
    """Lips, jaw and chin for an inner-lip gap of so many mouth widths."""
    width, down = mouth_axes(landmarks)
    change = wanted * width - (landmarks[66, :2] - landmarks[62, :2]) @ down
    weight = np.zeros(68)
    weight[[61, 62, 63]] = -0.17, -0.2, -0.17
    weight[[67, 66, 65]] = 0.7, 0.8, 0.7
    weight[[49, 50, 51, 52, 53]] = -0.1, -0.2, -0.2, -0.2, -0.1
    weight[[59, 58, 57, 56, 55]] = 0.5, 0.77, 0.8, 0.77, 0.5
    weight[5:12] = 0.3, 0.45, 0.55, 0.6, 0.55, 0.45, 0.3
    moved = landmarks.copy()
    moved[:, :2] += change * weight[:, None] * down
    return moved


def with_lids(landmarks: np.ndarray, closed: float) -> np.ndarray:
    """Eyelids closed by a factor, as blinks close them."""
    moved = landmarks.copy()
    for upper, lower in EYELID_PAIRS:
        meeting = 0.25 * landmarks[upper] + 0.75 * landmarks[lower]
        moved[upper] += closed * (meeting - landmarks[upper])
        moved[lower] += closed * (meeting - landmarks[lower])
    return moved


def turned(landmarks: np.ndarray, degrees: float, shift: tuple[float, float]) -> np.ndarray:
    """The whole head rolled about its middle and shifted, in jaw widths."""
    middle = landmarks[:, :2].mean(0)
    angle = np.deg2rad(degrees)
    roll = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = landmarks.copy()
    jaw = np.linalg.norm(landmarks[16, :2] - landmarks[0, :2])
    moved[:, :2] = (landmarks[:, :2] - middle) @ roll.T + middle + np.multiply(shift, jaw)
    return moved


def test_at_rest_the_portrait_comes_back(hopper, astronaut):
    for image, landmarks, renderer in (hopper, astronaut):
        assert np.array_equal(renderer.render(landmarks), image)
        # Next to rest there is no step either: as one sees when a video begins.
        nearly = landmarks + np.random.default_rng(0).normal(0, 0.02, landmarks.shape)
        difference = np.abs(renderer.render(nearly).astype(int) - image)
        assert np.percentile(difference, 99.9) <= 4 and difference.max() <= 40


def test_the_lips_open_as_far_as_asked(hopper):
    _, landmarks, renderer = hopper
    width, _ = mouth_axes(landmarks)
    asked = np.linspace(0, 0.28, 8)
    found = []
    for wanted in asked:
        frame = renderer.render(with_gap(landmarks, wanted))
        found.append(gap(detect_landmarks(frame, "mediapipe"), width))
    assert np.corrcoef(asked, found)[0, 1] > 0.95
    assert 0.75 < np.polyfit(asked, found, 1)[0] < 1.3
    assert found[0] < 0.04


def test_a_smile_with_teeth_can_shut(astronaut):
    _, landmarks, renderer = astronaut
    width, _ = mouth_axes(landmarks)
    assert gap(landmarks, width) > 0.08
    shut = detect_landmarks(renderer.render(with_gap(landmarks, 0.0)), "mediapipe")
    assert gap(shut, width) < 0.5 * gap(landmarks, width)


def test_between_the_lips_are_teeth_above_and_dark_below(hopper):
    image, landmarks, renderer = hopper
    width, down = mouth_axes(landmarks)
    moved = with_gap(landmarks, 0.28)
    grey = renderer.render(moved) @ LUMINANCE
    top, bottom = moved[62, :2], moved[66, :2]

    def at(fraction: float) -> float:
        x, y = np.round(top + fraction * (bottom - top)).astype(int)
        return float(grey[y - 1 : y + 2, x - 2 : x + 3].mean())

    skin = float((image @ LUMINANCE)[tuple(np.round(landmarks[30, 1::-1]).astype(int))])
    assert at(0.30) > 1.5 * at(0.65)
    assert at(0.65) < 0.45 * skin
    # Lips keep their own pixels: the lower lip's middle is what it was.
    before = (0.5 * (landmarks[57] + landmarks[66]))[:2]
    after = (0.5 * (moved[57] + moved[66]))[:2]
    colours = []
    for shown, (x, y) in ((image, before), (renderer.render(moved), after)):
        column, row = int(round(x)), int(round(y))
        colours.append(shown[row - 1 : row + 2, column - 3 : column + 4].reshape(-1, 3).mean(0))
    assert np.abs(colours[0] - colours[1]).max() < 30


def test_lids_come_down_over_the_eyes(astronaut):
    image, landmarks, renderer = astronaut

    def aperture(points: np.ndarray) -> float:
        return float(np.mean([np.linalg.norm(points[u] - points[v]) for u, v in EYELID_PAIRS]))

    flat = landmarks[:, :2]
    shut_frame = renderer.render(with_lids(landmarks, 1.0))
    shut = detect_landmarks(shut_frame, "mediapipe")[:, :2]
    half = detect_landmarks(renderer.render(with_lids(landmarks, 0.5)), "mediapipe")[:, :2]
    assert aperture(shut) < 0.6 * aperture(flat)
    assert aperture(shut) < aperture(half) < aperture(flat)
    # The dark of the pupil is covered by skin, well above the line of the lashes.
    for eye in ((37, 38, 41, 40), (43, 44, 47, 46)):
        x, y = landmarks[list(eye), :2].mean(0)
        rows, columns = slice(int(y) - 2, int(y) + 1), slice(int(x) - 2, int(x) + 3)
        before = (image[rows, columns] @ LUMINANCE).min()
        assert (shut_frame[rows, columns] @ LUMINANCE).min() > before + 20


def test_the_head_moves_and_the_border_rests(hopper):
    image, landmarks, renderer = hopper
    for degrees, shift in ((8, (0.05, 0.03)), (-8, (-0.06, 0.0)), (0, (0.08, -0.04))):
        asked = turned(landmarks, degrees, shift)
        frame = renderer.render(asked)
        found = detect_landmarks(frame, "mediapipe")
        asked_motion = similarity_matrix(landmarks[:, :2], asked[:, :2])
        found_motion = similarity_matrix(landmarks[:, :2], found[:, :2])
        np.testing.assert_allclose(found_motion[:, :2], asked_motion[:, :2], atol=0.04)
        jaw = np.linalg.norm(landmarks[16] - landmarks[0])
        error = np.linalg.norm(found[:, :2] - asked[:, :2], axis=1).mean()
        assert error < 0.04 * jaw
        for corner in (frame[:20, :20], frame[:20, -20:], frame[-20:, :20], frame[-20:, -20:]):
            assert corner.any()
        assert np.array_equal(frame[-8:], image[-8:])
        assert np.array_equal(frame[:, :2], image[:, :2])
        assert np.array_equal(frame[:, -2:], image[:, -2:])


def test_no_seams_and_no_holes_on_a_plain_image(hopper):
    _, landmarks, _ = hopper
    image = np.full((606, 512, 3), (90, 140, 200), np.uint8)
    renderer = WarpRenderer(image, landmarks)
    shut = turned(with_gap(landmarks, gap(landmarks, mouth_axes(landmarks)[0])), 6, (0.05, 0.04))
    assert np.array_equal(renderer.render(shut), image)


@pytest.mark.parametrize("side", [48, 131, 256])
def test_any_size(hopper, side):
    image, landmarks, _ = hopper
    scale = side / image.shape[1]
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    renderer = WarpRenderer(small, landmarks * scale)
    moved = turned(with_lids(with_gap(landmarks, 0.2), 0.8), 5, (0.03, 0.02)) * scale
    frame = renderer.render(moved)
    assert frame.shape == small.shape and frame.dtype == np.uint8
    assert np.abs(frame.astype(int) - small).mean() < 20


def test_wild_landmarks_do_no_harm(hopper):
    image, landmarks, renderer = hopper
    rng = np.random.default_rng(1)
    for spread in (3, 10, 30):
        frame = renderer.render(landmarks + rng.normal(0, spread, landmarks.shape))
        assert frame.shape == image.shape
    beside = renderer.render(landmarks + (400, 500, 0))
    assert beside.shape == image.shape


def test_sunglasses_do_not_blink(hopper):
    image, landmarks, _ = hopper
    dark = image.copy()
    for eye in (landmarks[36:42, :2], landmarks[42:48, :2]):
        x, y = eye.mean(0)
        cv2.ellipse(dark, (int(x), int(y)), (26, 20), 0, 0, 360, (12, 12, 12), -1)
    renderer = WarpRenderer(dark, landmarks)
    shut = renderer.render(with_lids(landmarks, 1.0))
    assert np.abs(shut.astype(int) - dark).max() <= 1
