"""Cleaning and resampling of tracked landmarks."""

import numpy as np

from src.data import clips, tracking
from src.io.audio import FRAME_RATE, SAMPLE_RATE


def running(frames: int) -> np.ndarray:
    """(T, 68, 3) whose every coordinate is the time in seconds."""
    times = np.arange(frames) / clips.VIDEO_RATE
    return np.broadcast_to(times[:, None, None], (frames, 68, 3))


def test_resampling_to_the_rate_of_the_audio():
    track, first = tracking.resample_to_audio(running(50), 0.0, 2 * SAMPLE_RATE)
    assert (len(track), first) == (125, 0)
    # After the last frame, at 1.96 s, the last frame stays.
    expected = np.minimum(np.arange(125) / FRAME_RATE, 1.96)
    np.testing.assert_allclose(track[:, 5, 1], expected)


def test_resampling_in_sync_with_the_audio():
    # The video leads by 0.2 s: that much audio is dropped, 1.8 s are left.
    track, first = tracking.resample_to_audio(running(50), 0.2, 2 * SAMPLE_RATE)
    assert first == 0.2 * SAMPLE_RATE
    assert len(track) == int(1.8 * FRAME_RATE)
    assert track[0, 0, 0] == 0
    # It lags: video is dropped.
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
