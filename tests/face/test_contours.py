"""Jaw and lipless mouths are fitted to drawn contours."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from src.face.contours import fit_inner_lips, fit_jaw
from src.puppets.files import read_puppet

CARTOONS = Path(__file__).resolve().parents[2] / "examples_cartoon"


def test_a_mouth_without_lips_is_as_large_as_its_outline():
    drawn = read_puppet(CARTOONS / "clara.png").landmarks
    width = drawn[16, 0] - drawn[0, 0]
    middle = drawn[48:60].mean(0)
    angle = np.linspace(0, 2 * np.pi, 300)
    outline = middle + width * np.stack([0.15 * np.cos(angle), 0.1 * np.sin(angle)], 1)
    image = np.full((680, 640, 3), (150, 180, 230), np.uint8)
    cv2.fillPoly(image, [np.round(outline).astype(np.int32)], (60, 40, 160))
    detected = drawn.copy()
    detected[48:60] = middle + 1.15 * (
        outline[np.linspace(150, 449, 13)[:-1].astype(int) % 300] - middle
    )
    bare = fit_inner_lips(image, detected)
    np.testing.assert_array_equal(bare[:60], detected[:60])
    distance = np.linalg.norm(bare[60:, None] - outline, axis=-1).min(1)
    assert distance.max() < 0.012 * width
    assert bare[60, 0] < bare[61, 0] < bare[62, 0] < bare[63, 0] < bare[64, 0]
    assert (bare[61:64, 1] < bare[[67, 66, 65], 1] - 0.1 * width).all()


def test_the_jaw_is_fitted_to_the_drawn_outline():
    drawn = read_puppet(CARTOONS / "maestro.png").landmarks
    width = drawn[16, 0] - drawn[0, 0]
    angle = np.linspace(-0.2, np.pi + 0.2, 300)
    centre = drawn[36:48].mean(0) + (0, 0.05 * width)
    outline = centre + width * np.stack([-0.52 * np.cos(angle), 0.75 * np.sin(angle)], 1)
    image = np.full((680, 640, 3), 235, np.uint8)
    cv2.fillPoly(image, [np.round(outline).astype(np.int32)], (150, 180, 230))
    cv2.polylines(image, [np.round(outline).astype(np.int32)], False, (20, 20, 20), 2)
    before = drawn.copy()
    before[:17] = centre + 0.9 * (before[:17] - centre)
    after = fit_jaw(image, before)
    np.testing.assert_array_equal(after[17:], before[17:])
    distance = np.linalg.norm(after[:17, None] - outline, axis=-1).min(1)
    assert distance.max() < 0.02 * width
    steps = np.linalg.norm(np.diff(after[:17], axis=0), axis=1)
    assert steps.max() < 1.1 * steps.min()
    assert abs(after[[0, 16], 1].mean() - drawn[36:48, 1].mean()) < 0.05 * width


def test_the_middle_of_the_jaw_is_the_chin_of_a_turned_face():
    face = read_puppet(CARTOONS / "maestro.png").landmarks
    width = face[16, 0] - face[0, 0]
    centre = face[36:48].mean(0)

    def outline(count: int, aside: float) -> np.ndarray:
        """Half an ellipse whose lowest point is moved aside (in widths)."""
        angle = np.linspace(0, np.pi, count)
        x = -0.5 * np.cos(angle) + aside * np.sin(angle) ** 3
        return centre + width * np.stack([x, 0.75 * np.sin(angle)], 1)

    image = np.full((680, 640, 3), 230, np.uint8)
    line = np.round(outline(300, 0.1)).astype(np.int32)
    cv2.polylines(image, [line], False, (20, 20, 20), 3)
    face[:17] = outline(17, 0.0)
    fitted = fit_jaw(image, face)
    assert fitted[8] - face[8] == pytest.approx([0.1 * width, 0], abs=0.02 * width)
    steps = np.linalg.norm(np.diff(fitted[:17], axis=0), axis=1)
    assert steps[:8].mean() > 1.1 * steps[8:].mean()
    for half in (steps[:8], steps[8:]):
        assert half.max() < 1.1 * half.min()
