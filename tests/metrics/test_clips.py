"""Portraits are chosen from clips, and video and audio are aligned."""

import numpy as np
import pytest

from src.metrics.clips import overlap, portrait_frame
from tests.metrics.faces import open_eyes, simple_face


def test_portrait_is_frontal_awake_and_shut():
    track = open_eyes(simple_face(8), 6.0)
    track[:, 65:68, 1] += 10
    track[:3, 30, 0] += 25  # looks aside
    track[0, 65:68, 1] -= 10  # and is shut
    track[5, 65:68, 1] -= 10  # shut, but asleep
    open_eyes(track[5:6], 1.0)
    track[6, 65:68, 1] -= 8  # the one
    track[7] = np.nan
    assert portrait_frame(track) == 6
    with pytest.raises(ValueError, match="no frame shows a face"):
        portrait_frame(track[7:])


@pytest.mark.parametrize(
    ("offset", "frames", "samples"),
    [
        (0.0, slice(0, 25), slice(0, 16000)),
        (0.08, slice(0, 23), slice(1280, 16000)),  # the video leads: its audio comes later
        (-0.12, slice(3, 25), slice(0, 14080)),
    ],
)
def test_audio_and_video_are_aligned(offset, frames, samples):
    assert overlap(25, 16000, offset) == (frames, samples)


def test_short_audio_limits_the_frames():
    assert overlap(25, 6500, 0.0) == (slice(0, 10), slice(0, 6400))
