"""Cleaning and resampling of tracked landmarks."""

import numpy as np
import pytest

from src.data import clips, tracking
from src.io.audio import FRAME_RATE, SAMPLE_RATE
from tests.data.samples import face


def running(frames: int) -> np.ndarray:
    """(T, 68, 3) whose every coordinate is the time in seconds."""
    times = np.arange(frames) / clips.VIDEO_RATE
    return np.broadcast_to(times[:, None, None], (frames, 68, 3))


def test_resampling_to_the_rate_of_the_sound():
    track, first = tracking.resample_to_audio(running(50), 0.0, 2 * SAMPLE_RATE)
    assert (len(track), first) == (125, 0)
    # After the last frame, at 1.96 s, the picture stays.
    expected = np.minimum(np.arange(125) / FRAME_RATE, 1.96)
    np.testing.assert_allclose(track[:, 5, 1], expected)


def test_resampling_in_step_with_the_sound():
    # The picture leads by 0.2 s: as much sound is dropped, 1.8 s are left.
    track, first = tracking.resample_to_audio(running(50), 0.2, 2 * SAMPLE_RATE)
    assert first == 0.2 * SAMPLE_RATE
    assert len(track) == int(1.8 * FRAME_RATE)
    assert track[0, 0, 0] == 0
    # It lags: picture is dropped.
    track, first = tracking.resample_to_audio(running(50), -0.2, 2 * SAMPLE_RATE)
    assert first == 0
    assert len(track) == int(1.8 * FRAME_RATE)
    np.testing.assert_allclose(track[:3, 0, 0], 0.2 + np.arange(3) / FRAME_RATE)


def test_gaps_are_interpolated_and_too_many_refused():
    track = np.array(running(50))
    track[10:14] = np.nan
    np.testing.assert_allclose(tracking.clean_landmarks(track), running(50), atol=1e-9)
    track[20:30] = np.nan
    assert tracking.clean_landmarks(track) is None


def test_a_clips_gaps_are_filled_and_a_clip_without_a_face_is_refused():
    track = np.repeat(face()[None], 20, 0) + np.arange(20)[:, None, None]
    track[7:9] = np.nan
    clean = tracking.clean_landmarks(track)
    assert np.abs(clean - (face() + np.arange(20)[:, None, None])).max() < 1e-6
    track[:10] = np.nan
    assert tracking.clean_landmarks(track) is None


def test_sound_that_lags_loses_its_start():
    track = np.arange(50.0)[:, None, None] * np.ones((1, 68, 3))
    late, first = tracking.resample_to_audio(track, 0.2, 32000)
    assert first == 3200
    assert late[0, 0, 0] == 0
    early, first = tracking.resample_to_audio(track, -0.2, 32000)
    assert first == 0
    assert early[0, 0, 0] == pytest.approx(5.0)
    assert early[10, 0, 0] == pytest.approx(5.0 + 10 / 62.5 * 25)
