"""Differences of pairs by hand."""

import numpy as np
import pytest

from src.metrics.head_motion import head_curves
from src.metrics.registry import measure
from src.metrics.speaker_separation import statistic_differences
from tests.metrics.faces import irregular_face


def swinging(size: float) -> dict[str, np.ndarray]:
    """Curves of a head that swings without turning."""
    still = irregular_face()[0]
    track = still + size * np.sin(np.arange(20))[:, None, None] * np.ones((1, 68, 3))
    return head_curves(track, still)


def test_statistics_are_compared_as_ratios():
    heads = [swinging(size) for size in (1, 1, 2)]
    found = measure("speakers", statistic_differences(heads, ["a", "a", "b"]))
    assert found["statistics, one speaker"] == pytest.approx(1)
    # Of eight statistics two, the nose's spread and speed, are twice as large.
    expected = np.exp(np.sqrt(2 / 8) * np.log(2))
    assert found["statistics, two speakers"] == pytest.approx(expected, rel=1e-3)
    assert found["statistics, AUC"] == 1


def test_all_pairs_of_voices_are_compared():
    heads = [swinging(size) for size in (1, 2, 8)]
    same, other = statistic_differences(heads, ["a", "a", "b"])
    assert same == pytest.approx([np.log(2) / 2], rel=1e-3)
    assert other == pytest.approx([np.log(8) / 2, np.log(4) / 2], rel=1e-3)
    assert measure("speakers", (other, same))["statistics, AUC"] == 0
    assert np.isnan(measure("speakers", (same[:0], other))["statistics, AUC"])
