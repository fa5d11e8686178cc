"""Interpolation of frames in time."""

import numpy as np

from src.motion.resampling import resample


def test_frames_are_interpolated_linearly_and_the_ends_stay():
    values = np.array([[0.0, 4.0], [1.0, 2.0], [3.0, 0.0]], np.float32)
    sampled = resample(values, np.array([-1.0, 0.25, 1.0, 1.5, 7.0]))
    assert sampled.dtype == np.float32
    np.testing.assert_allclose(sampled, [[0, 4], [0.25, 3.5], [1, 2], [2, 1], [3, 0]])


def test_whole_frames_are_not_changed():
    values = np.random.default_rng(0).normal(size=(9, 68, 3))
    assert np.array_equal(resample(values, np.arange(9)), values)
