"""The aperture is the gap over the eyes' distance, and its correlation finds small lags."""

import numpy as np
import pytest

from src.metrics.aperture import aperture, aperture_correlation, correlation, signed_aperture
from tests.metrics.faces import irregular_face, simple_face


def test_aperture_is_gap_over_eye_distance_whatever_size_and_roll():
    face = simple_face(2)
    face[0, 66, 1] += 6
    face[1, 66, 1] += 15
    np.testing.assert_allclose(aperture(face), [6 / 60, 15 / 60])
    cos, sin = np.cos(0.4), np.sin(0.4)
    turned = 3.0 * face @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]) + [500, 80, 7]
    np.testing.assert_allclose(aperture(turned), [0.1, 0.25])


def test_signed_aperture_is_negative_for_crossed_lips():
    track = irregular_face(2)
    track[1, 66, 1] = 33
    assert signed_aperture(track) == pytest.approx([2 / 60, -6 / 60])


def test_correlation_by_hand():
    # Differences from the means: (-1, 0, 1) and (-2, 1, 1): 3 / sqrt(2 * 6).
    found = aperture_correlation(np.array([1.0, 2, 3]), np.array([0.0, 3, 3]))
    assert found == pytest.approx(3 / np.sqrt(12))
    assert aperture_correlation(np.arange(9.0), -np.arange(9.0)) == pytest.approx(-1)


@pytest.mark.parametrize("late", [-2, -1, 0, 1, 2])
def test_correlation_finds_a_lag_of_up_to_two_frames(late):
    moving = np.random.default_rng(0).normal(size=120)
    reference, predicted = moving[10:110], moving[10 - late : 110 - late]
    assert aperture_correlation(predicted, reference) == pytest.approx(1.0)


def test_correlation_does_not_look_beyond_its_lag():
    moving = np.random.default_rng(0).normal(size=120)
    assert aperture_correlation(moving[7:107], moving[10:110]) < 0.4


def test_correlation_skips_frames_without_a_face_and_motionless_lips():
    reference = np.random.default_rng(0).normal(size=50)
    predicted = reference.copy()
    predicted[[3, 20]] = np.nan
    assert aperture_correlation(predicted, reference) == pytest.approx(1.0)
    assert np.isnan(aperture_correlation(np.full(50, 0.2), reference))
    assert correlation(np.full(50, 0.2), 25.0, reference) == 0


def test_a_gap_at_another_rate_is_resampled():
    times = np.arange(145) * 25 / 62.5
    reference = np.sin(np.arange(58) / 3)
    finer = np.interp(times, np.arange(58), reference)
    assert correlation(finer, 62.5, reference) > 0.999
