"""Eyes, nose and brows are laid on what is drawn, and stay where nothing is."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from src.face.drawn_features import lay_features
from src.face.topology import mirror_order
from src.puppets import puppet as puppets

CARTOONS = Path(__file__).resolve().parents[2] / "examples_cartoon"
SKIN, INK = (150, 180, 230), (30, 25, 20)  # BGR
FINE = 4  # fractional bits of the points that are drawn


@pytest.fixture(scope="module")
def detected():
    return puppets.read_puppet(CARTOONS / "maestro.png").landmarks


@pytest.fixture
def low_nose(detected):
    """Nose and mouth lower than in the drawing, as in a human's face."""
    lower = detected.copy()
    lower[28:31] += np.array([[0.02], [0.05], [0.08]]) * (0, width_of(detected))
    lower[31:36] += (0, 0.1 * width_of(detected))
    lower[48:] += (0, 0.15 * width_of(detected))
    return lower


@pytest.fixture
def picture():
    return np.full((680, 640, 3), SKIN, np.uint8)


def width_of(face):
    return np.linalg.norm(face[16] - face[0])


def fixed(points):
    return np.round(np.asarray(points) * 2**FINE).astype(np.int32)


def fill(picture, outline, colour):
    cv2.fillPoly(picture, [fixed(outline)], colour, cv2.LINE_AA, FINE)


def oval(middle, radii):
    turn = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    return middle + np.stack([np.cos(turn), np.sin(turn)], 1) * radii


def off(points, curve):
    return np.linalg.norm(points[:, None] - curve, axis=-1).min(1)


@pytest.mark.parametrize(
    ("radii", "shift", "angle"),
    [((0.04, 0.045), (0.01, 0.01), 0), ((0.13, 0.13), (0.03, 0.02), 20)],
    ids=["dots", "as large as in a manga, the head turned"],
)
def test_eyes_are_outlined_as_drawn(picture, detected, radii, shift, angle):
    width = width_of(detected)
    turn = cv2.getRotationMatrix2D(detected[36:48].mean(0), angle, 1)
    outlines = []
    for eye, outwards in ((slice(36, 42), -1), (slice(42, 48), 1)):
        middle = detected[eye].mean(0) + width * np.array(shift) * (outwards, 1)
        outline = oval(middle, width * np.array(radii)) @ turn[:, :2].T + turn[:, 2]
        fill(picture, outline, (160, 90, 60))
        outlines.append(outline)
    turned = detected @ turn[:, :2].T + turn[:, 2]
    laid = lay_features(picture, turned)
    for eye, outline in zip((slice(36, 42), slice(42, 48)), outlines, strict=True):
        assert off(turned[eye], outline).max() > 0.04 * width
        assert off(laid[eye], outline).max() < 0.015 * width
        assert np.abs(np.ptp(laid[eye], axis=0) - np.ptp(outline, axis=0)).max() < 0.03 * width
    np.testing.assert_array_equal(laid[:17], turned[:17])
    np.testing.assert_array_equal(laid[48:], turned[48:])


def test_a_long_stroke_is_the_base_of_the_nose(picture, low_nose):
    width = width_of(low_nose)
    across = np.linspace(-1, 1, 50)
    stroke = low_nose[31:36].mean(0) - (0, 0.04 * width)
    stroke = stroke + width * np.stack([0.14 * across, -0.03 * across**2], 1)
    cv2.polylines(picture, [fixed(stroke)], False, INK, 5, cv2.LINE_AA, FINE)
    laid = lay_features(picture, low_nose)
    assert off(laid[31:36], stroke).max() < 0.01 * width
    assert np.linalg.norm(laid[[31, 35]] - stroke[[0, -1]], axis=1).max() < 0.03 * width
    np.testing.assert_array_equal(laid[27], low_nose[27])
    assert (np.diff(laid[27:31, 1]) > 0).all() and laid[30, 1] < laid[33, 1]


def test_a_small_mark_is_the_tip_of_the_nose(picture, low_nose):
    width = width_of(low_nose)
    mark = low_nose[31:36].mean(0) + width * np.array([0.08, -0.09])
    cv2.polylines(
        picture, [fixed([mark, mark + (4, 8), mark + (0, 10)])], False, INK, 3, cv2.LINE_AA, FINE
    )
    laid = lay_features(picture, low_nose)
    assert np.linalg.norm(laid[31:36].mean(0) - mark - (2, 8)) < 0.03 * width
    assert 0.05 * width < laid[35, 0] - laid[31, 0] < 0.1 * width


def test_two_nostrils_do_not_move_a_nose(picture, detected):
    for nostril in (32, 34):
        fill(picture, oval(detected[nostril] + (0, 6), (5, 3)), INK)
    np.testing.assert_array_equal(lay_features(picture, detected), detected)


def test_brows_lie_on_the_dark_bands(picture, detected):
    thickness = 10
    width = width_of(detected)
    lines = []
    for brow in (slice(17, 22), slice(22, 27)):
        middle = detected[brow].mean(0) - (0, 0.06 * width)
        line = middle + np.stack([np.linspace(-0.13, 0.13, 50) * width, np.zeros(50)], 1)
        cv2.polylines(picture, [fixed(line)], False, INK, thickness, cv2.LINE_AA, FINE)
        lines.append(line)
    laid = lay_features(picture, detected)
    for brow, line in zip((slice(17, 22), slice(22, 27)), lines, strict=True):
        assert off(detected[brow], line).max() > 0.05 * width
        assert off(laid[brow], line).max() < 0.015 * width + thickness / 4
        assert laid[brow][[0, -1], 0] == pytest.approx(line[[0, -1], 0], abs=0.05 * width)


def test_what_is_not_drawn_stays(picture, detected):
    np.testing.assert_array_equal(lay_features(picture, detected), detected)
    rng = np.random.default_rng(0)
    shade = np.linspace(-40, 20, 640)[None, :, None]
    grained = np.clip(picture + shade + rng.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(lay_features(grained, detected), detected)


def test_a_face_at_the_edge_of_a_picture_is_no_problem(detected):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (60, 50, 4), np.uint8)
    for shift in (-400, 0):
        assert np.isfinite(lay_features(picture, detected / 4 + shift)).all()


def test_eyes_that_were_found_shut_or_in_few_pixels_are_laid_all_the_same(picture, detected):
    width = width_of(detected)
    outlines = []
    for eye in (slice(36, 42), slice(42, 48)):
        outlines.append(oval(detected[eye].mean(0), (0.08 * width, 0.08 * width)))
        fill(picture, outlines[-1], (160, 90, 60))
    shut, coarse = detected.copy(), detected.copy()
    for eye in (slice(36, 42), slice(42, 48)):
        shut[eye, 1] = shut[eye, 1].mean()
    coarse[37], coarse[43] = coarse[36], coarse[42]
    for found in (shut, coarse):
        laid = lay_features(picture, found)
        for eye, outline in zip((slice(36, 42), slice(42, 48)), outlines, strict=True):
            assert off(laid[eye], outline).max() < 0.02 * width
            assert np.ptp(laid[eye], axis=0) == pytest.approx(0.16 * width, abs=0.04 * width)


def test_eyes_are_laid_in_the_mirror_as_well():
    """On a puppet of pixels, whose dithered skin has many colours."""
    count = puppets.read_puppet(CARTOONS / "count.png")
    picture, face, width = count.picture, count.landmarks, width_of(count.landmarks)
    mirrored = (picture.shape[1] - 1, 0) + (face * (-1, 1))[mirror_order()]
    laid = lay_features(picture, face)
    again = lay_features(np.ascontiguousarray(picture[:, ::-1]), mirrored)
    back = (picture.shape[1] - 1, 0) + (again * (-1, 1))[mirror_order()]
    assert np.linalg.norm(laid - back, axis=1)[36:48].max() < 0.02 * width
