"""Portraits are chosen from clips."""

import numpy as np

from src.metrics.clips import portrait_frame
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
