"""Open/shut AUC by hand."""

import numpy as np
import pytest

from src.metrics.open_shut import (
    auc,
    interpolated_extremes,
    phone_extremes,
    pooled_auc,
)


def test_phone_extremes_by_hand():
    gap = np.array([0.0, 0.1, 0.3, 0.2, 0.05, 0.01, 0.04, np.nan, np.nan, 0.5])
    phones = [
        ("aa", 0.1, 0.3),  # frames 1-3
        ("t", 0.3, 0.4),
        ("m", 0.4, 0.6),  # frames 4-6
        ("b", 0.31, 0.36),  # between two frames: the nearest, 3
        ("ae", 0.7, 0.8),  # no face found
    ]
    assert phone_extremes(gap, 10.0, phones) == ([0.3], [0.01, 0.2])


def test_gap_between_two_frames_is_interpolated():
    gap = np.array([0.0, 1.0, 0.0, 0.4])
    # At 25 frames per second: 0.05 s is a quarter of the way from the peak at 0.04 to 0 at 0.08,
    # 0.065 is five eighths of it.
    opened, shut = interpolated_extremes(gap, 25.0, [("aa", 0.05, 0.07), ("p", 0.05, 0.065)])
    assert opened == pytest.approx([0.75])
    assert shut == pytest.approx([1 - 5 / 8])


def test_auc_by_hand():
    # 3 > 1, 3 > 2, 2 > 1, and 2 = 2 counts a half: 3.5 of 4 pairs.
    assert auc([3.0, 2.0], [1.0, 2.0]) == 3.5 / 4
    assert pooled_auc([([3.0], [1.0]), ([2.0], [2.0])]) == 3.5 / 4
    assert auc([0.0], [1.0]) == 0.0
    assert np.isnan(auc([], [1.0]))
