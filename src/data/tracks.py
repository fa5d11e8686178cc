"""Tracked faces become whole, smooth and as many a second as the features."""

from __future__ import annotations

import numpy as np

from src.data.clips import LEAST_TRACKED, SMOOTHING, VIDEO_RATE
from src.io.audio import FRAME_RATE, SAMPLE_RATE


def clean_track(track: np.ndarray) -> np.ndarray | None:
    """Fill the gaps of a track (T, 68, 3) with NaN, and smooth the detector's jitter.

    Returns None where the face was seen in too few frames.
    """
    from scipy.signal import savgol_filter

    seen = np.isfinite(track).all((1, 2))
    if len(track) < SMOOTHING[0] or seen.mean() < LEAST_TRACKED:
        return None
    frames = np.arange(len(track))
    flat = track.reshape(len(track), -1).astype(np.float64)
    columns = [np.interp(frames, frames[seen], column[seen]) for column in flat.T]
    smooth = savgol_filter(np.stack(columns, 1), *SMOOTHING, axis=0)
    return smooth.reshape(track.shape)


def at_audio_rate(track: np.ndarray, offset: float, samples: int) -> tuple[np.ndarray, int]:
    """Resample a track at ``VIDEO_RATE`` to ``FRAME_RATE``, in step with its sound.

    Args:
        track: (T, 68, 3).
        offset: seconds that the picture leads the sound.
        samples: length of the sound.

    Returns:
        The track (T', 68, 3) and the first sample of the sound that belongs to it. Both last as
        long as picture and sound overlap.
    """
    dropped_sound, dropped_picture = max(0.0, offset), max(0.0, -offset)
    seconds = min(len(track) / VIDEO_RATE - dropped_picture, samples / SAMPLE_RATE - dropped_sound)
    times = np.arange(int(seconds * FRAME_RATE)) / FRAME_RATE + dropped_picture
    known = np.arange(len(track)) / VIDEO_RATE
    flat = track.reshape(len(track), -1)
    resampled = np.stack([np.interp(times, known, column) for column in flat.T], 1)
    return resampled.reshape(-1, *track.shape[1:]), round(dropped_sound * SAMPLE_RATE)
