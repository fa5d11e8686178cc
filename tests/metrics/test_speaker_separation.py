"""Differences of pairs by hand."""

import numpy as np
import pytest

from src.metrics.cases import HeadTrack
from src.metrics.registry import measure
from src.metrics.speaker_separation import SpeakerTracks, pair_differences
from tests.metrics.faces import irregular_face


def tracks(places: list[float], speakers: list[str]) -> SpeakerTracks:
    """Still heads, their noses at so many percent of the face's width."""
    still = irregular_face()[0]
    moved = [irregular_face(2) + place * np.ones(3) for place in places]
    return SpeakerTracks([HeadTrack(track, still, 10.0) for track in moved], speakers)


def test_differences_by_hand():
    same, other = pair_differences(np.array([[0.0], [1.0], [3.0]]), ["a", "a", "b"])
    assert same == pytest.approx([1]) and other == pytest.approx([3, 2])
    found = measure(tracks([0, 1, 3], ["a", "a", "b"]))
    assert found["nose, one speaker"] == pytest.approx(1)
    assert found["nose, two speakers"] == pytest.approx(np.sqrt((9 + 4) / 2))
    assert found["nose, AUC"] == 1
    assert measure(tracks([0, 2, 1], ["a", "a", "b"]))["nose, AUC"] == 0
    assert np.isnan(measure(tracks([0, 1], ["a", "b"]))["nose, AUC"])


def test_statistics_are_compared_as_ratios():
    still = irregular_face()[0]
    swinging = np.sin(np.arange(20))[:, None, None] * np.ones((1, 68, 3))
    heads = [HeadTrack(still + size * swinging, still, 10.0) for size in (1, 1, 2)]
    found = measure(SpeakerTracks(heads, ["a", "a", "b"]))
    assert found["statistics, one speaker"] == pytest.approx(1)
    # Of eight statistics two, the nose's spread and speed, are twice as large.
    expected = np.exp(np.sqrt(2 / 8) * np.log(2))
    assert found["statistics, two speakers"] == pytest.approx(expected, rel=1e-3)
