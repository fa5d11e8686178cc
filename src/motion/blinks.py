"""Blinks: how often the eyes close, and how the lids move."""

from collections.abc import Callable

import numpy as np

from src.face.topology import EYELID_PAIRS
from src.motion.smoothing import raised_cosine

FIRST_BLINK = 30
"""Frame at which the eyes are first closed; frames are 1/62.5 s (published release)."""

PAUSE = 60
RANDOM_PAUSE = (30, 90)
"""Frames from one closure to the next: the sum of both, the second drawn from [low, high). This is
the blink rate (published release)."""

CLOSING = 10
OPENING = 15
"""Frames in which the lids close and open again (published release)."""

HELD = 3
"""Frames for which the lids stay closed. The release never holds them, so a video of 25 frames a
second may miss the closed eye."""

UPPER_LID_TRAVEL = 0.75
"""Fraction of the opening that the upper lid travels; the lower lid travels the rest."""


def blink_frames(length: int, draw: Callable[[int, int], int]) -> list[int]:
    """Frames at which the eyes are closed, for blinks that end within `length` frames.

    Args:
        length: frames of the recording.
        draw: random generator's method that draws an integer from [low, high).
    """
    frames = []
    frame = FIRST_BLINK
    while frame < length - OPENING:
        frames.append(frame)
        frame += PAUSE + int(draw(*RANDOM_PAUSE))
    return frames


def add_blinks(landmarks: np.ndarray, closures: list[int]) -> np.ndarray:
    """Close the lids of landmarks (T, 68, 3), following the moving head; a new array.

    At the frames in `closures` the lids have met; they stay closed for `HELD` frames.
    """
    closed = np.zeros(len(landmarks), np.float32)
    closing = raised_cosine(CLOSING + 1)[1:]
    opening = 1 - raised_cosine(OPENING + 1)[1:]
    blink = np.concatenate([closing, np.ones(HELD - 1, np.float32), opening])
    for frame in closures:
        start = frame - CLOSING + 1
        closed[start : start + len(blink)] = blink
    upper, lower = np.transpose(EYELID_PAIRS)
    gap = (landmarks[:, lower] - landmarks[:, upper]) * closed[:, None, None]
    blinking = np.array(landmarks)
    blinking[:, upper] += UPPER_LID_TRAVEL * gap
    blinking[:, lower] -= (1 - UPPER_LID_TRAVEL) * gap
    return blinking
