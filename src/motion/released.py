"""The published release's method, step by step, with its limits; same functions as the default.

Segments of 512 windows are calibrated and smoothed one by one, lips that cross are parted by the
frame before, blinks are blunted by the last smoothing, and the end of the recording is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src.face.geometry import inner_lip_area
from src.face.topology import EYELID_PAIRS, INNER_LIP_PAIRS
from src.models.dimensions import WINDOW
from src.motion.blinks import CLOSING, OPENING, UPPER_LID_TRAVEL, blink_frames
from src.motion.default import amplify_lips
from src.motion.displacement import (
    SPEAKER_SMOOTHING,
    content_output,
    keep_lips_closed,
    speaker_output,
)
from src.motion.settings import MotionSettings
from src.motion.smoothing import smooth, smooth_final, smooth_joined
from src.speech.windows import windows as windows_of

if TYPE_CHECKING:
    from src.models.loading import MotionModels
    from src.models.speaker_aware import SpeakerBranch
    from src.speech.features import SpeechFeatures

SEGMENT = 512
"""Windows that are calibrated and smoothed together."""

SHORTEST_SEGMENT = 10
"""Windows; a shorter rest is dropped."""

THICKNESS_LEADERS = {
    **{49: 60, 50: 61, 51: 62, 52: 63, 53: 64},
    **{59: 60, 58: 67, 57: 66, 56: 65, 55: 64},
}
"""The inner lip point from which the thickness of the lip at an outer one is measured."""

EYE_NARROWING = 0.05
"""Fraction by which all lids are brought together in every frame, blink or not."""


def predict_landmarks(
    speech: SpeechFeatures, face: np.ndarray, models: MotionModels, settings: MotionSettings
) -> np.ndarray:
    """Moving landmarks of a recording; the arguments of `src.motion.default.predict_landmarks`.

    Returns:
        (T', 68, 3) float32 normalised landmarks at 62.5 frames a second: T less the last 18 frames
        and less a rest of under 10.
    """
    count = max(1, len(speech.content) - WINDOW)
    content, speaker = models.content_branch, models.speaker_branch
    content_windows = windows_of(speech.content, content.config.window_lead)[:count]
    output = content_output(content, content_windows, face)
    lips = np.concatenate([calibrate(output[piece]) for piece in segments(count)])
    speaker_windows = windows_of(speech.content, speaker.config.window_lead)[:count]
    head = speaker_displacement(speaker, speaker_windows, speech.speaker_embedding)
    lips = amplify_lips(lips, settings)
    landmarks = np.asarray(face, np.float32) + settings.amp_pos * head + lips
    for piece in segments(count):
        part_lips(landmarks[piece])
    return smooth_joined(landmarks)


def calibrate(displacement: np.ndarray) -> np.ndarray:
    """Subtract from each coordinate of (T, 68, 3) the mean of its smaller half over time."""
    half = max(len(displacement) // 2, 1)
    smaller = np.partition(displacement, half - 1, axis=0)[:half]
    return displacement - smaller.mean(axis=0)


def speaker_displacement(
    branch: SpeakerBranch, windows: np.ndarray, embedding: np.ndarray
) -> np.ndarray:
    """Displacement (T', 68, 3) by the speaker-aware branch, each segment smoothed by itself."""
    smoothed = []
    for piece in segments(len(windows)):
        # A trained network may take shorter sequences than the release's segments.
        order = np.arange(piece.start, piece.stop)
        output = speaker_output(branch, windows, embedding, order)
        window, degree = SPEAKER_SMOOTHING
        # The release asks for fewer frames than there are, so one is always left out.
        smoothed.append(smooth(output, min(len(order) - 1, window), degree))
    return keep_lips_closed(np.concatenate(smoothed))


def segments(length: int) -> list[slice]:
    """Segments of `SEGMENT` windows side by side, without a short rest.

    A recording shorter than `SHORTEST_SEGMENT` is kept, so that there is a video.
    """
    pieces = [slice(s, min(s + SEGMENT, length)) for s in range(0, length, SEGMENT)]
    if len(pieces) > 1 and length - pieces[-1].start < SHORTEST_SEGMENT:
        pieces.pop()
    return pieces


def part_lips(landmarks: np.ndarray) -> None:
    """Part crossed lips of one segment in place: (T, 68, 3), y down.

    Frames whose inner lips enclose a negative area get pairs that meet in the middle, and lips as
    thick as in the frame before (the first frame: outer lips as they are).
    """
    for frame in np.flatnonzero(inner_lip_area(landmarks) < 0):
        current, before = landmarks[frame], landmarks[max(frame - 1, 0)]
        for upper, lower in INNER_LIP_PAIRS:
            middle = 0.5 * (current[upper] + current[lower])
            current[upper] = current[lower] = middle
        for outer, inner in THICKNESS_LEADERS.items():
            current[outer, 1] = current[inner, 1] + (before[outer, 1] - before[inner, 1])


def add_blinks(landmarks: np.ndarray, closures: list[int]) -> np.ndarray:
    """Narrow the eyes of landmarks (T, 68, 3), and blink; a new array.

    At the frames in `closures` the lids meet. Before and after, they travel straight from and to
    their positions in two other frames, so they lag behind a moving head.
    """
    upper, lower = np.transpose(EYELID_PAIRS)
    lids = np.concatenate([upper, lower])
    gap = landmarks[:, lower] - landmarks[:, upper]
    blinking = np.array(landmarks)
    blinking[:, upper] += EYE_NARROWING * gap
    blinking[:, lower] -= EYE_NARROWING * gap
    for frame in closures:
        gap = blinking[frame, lower] - blinking[frame, upper]
        blinking[frame, upper] += UPPER_LID_TRAVEL * gap
        blinking[frame, lower] = blinking[frame, upper]
        closed = blinking[frame, lids]
        before = blinking[frame - CLOSING, lids]
        after = blinking[frame + OPENING, lids]
        for step in range(1, CLOSING):
            weight = step / CLOSING
            blinking[frame - CLOSING + step, lids] = (1 - weight) * before + weight * closed
        for step in range(1, OPENING):
            weight = (step + 1) / OPENING
            blinking[frame + step, lids] = (1 - weight) * closed + weight * after
    return blinking


def finish_portrait(landmarks: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Let a portrait's landmarks (T, 68, 3) blink, then smooth everything, which blunts the blinks.

    Returns:
        (T, 68, 3) landmarks with blinks, and the final, smoothed ones.
    """
    generator = np.random.RandomState(seed)  # the stream of np.random.seed
    blinking = add_blinks(landmarks, blink_frames(len(landmarks), generator.randint))
    return blinking, smooth_final(blinking)
