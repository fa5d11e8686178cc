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
from src.motion.blinks import CLOSING, FIRST_BLINK, OPENING, PAUSE, RANDOM_PAUSE, UPPER_LID_TRAVEL
from src.motion.default import amplify_lips
from src.motion.displacement import (
    SPEAKER_SMOOTHING,
    close_lips,
    content_output,
    speaker_output,
)
from src.motion.settings import MotionSettings
from src.motion.smoothing import smooth, smooth_final, smooth_joined
from src.speech.features import windows as windows_of

if TYPE_CHECKING:
    import torch

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
    speech: SpeechFeatures,
    face: np.ndarray,
    models: MotionModels,
    settings: MotionSettings,
    speaker_embedding: np.ndarray | None = None,
) -> np.ndarray:
    """Moving landmarks of a recording; the arguments of `src.motion.default.predict_landmarks`.

    Returns:
        (T', 68, 3) float32 normalised landmarks at 62.5 frames a second: T less the last 18 frames
        and less a rest of under 10.
    """
    count = max(1, len(speech.content) - WINDOW)
    embedding = speech.speaker_embedding if speaker_embedding is None else speaker_embedding
    content, speaker = models.content_branch, models.speaker_branch
    heads = speaker_displacement(
        speaker,
        windows_of(speech.content, speaker.config.window_lead)[:count],
        embedding,
        settings.amp_pos,
    )
    lips = content_displacement(
        content, windows_of(speech.content, content.config.window_lead)[:count], face, settings
    )
    landmarks = np.asarray(face, np.float32) + heads + lips
    for piece in segments(len(landmarks)):
        part_lips(landmarks[piece])
    return smooth_joined(landmarks)


def content_displacement(
    branch: torch.nn.Module, windows: np.ndarray, face: np.ndarray, settings: MotionSettings
) -> np.ndarray:
    """Displacement (T', 68, 3) by the content branch, each segment calibrated by itself."""
    output = content_output(branch, windows, face)
    pieces = [calibrate(output[piece]) for piece in segments(len(output))]
    return amplify_lips(np.concatenate(pieces), settings)


def calibrate(displacement: np.ndarray) -> np.ndarray:
    """Subtract from each coordinate of (T, 204) the mean of its smaller half over time."""
    half = max(len(displacement) // 2, 1)
    smaller = np.partition(displacement, half - 1, axis=0)[:half]
    return displacement - smaller.mean(axis=0)


def speaker_displacement(
    branch: SpeakerBranch, windows: np.ndarray, embedding: np.ndarray, amp_pos: float
) -> np.ndarray:
    """Displacement (T', 68, 3) by the speaker-aware branch, each segment smoothed by itself."""
    smoothed = []
    for piece in segments(len(windows)):
        # The release asks for fewer frames than there are, so one is always left out.
        window = min(piece.stop - piece.start - 1, SPEAKER_SMOOTHING[0])
        # The published network takes a whole segment at once; a smaller one may not.
        order = np.arange(piece.start, piece.stop)
        output = speaker_output(branch, windows, embedding, order)
        smoothed.append(smooth(output, window, SPEAKER_SMOOTHING[1]))
    return amp_pos * close_lips(np.concatenate(smoothed))


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


def blink_frames(length: int, seed: int) -> list[int]:
    """Frames at which the eyes are closed, for blinks that end within `length` frames."""
    generator = np.random.RandomState(seed)  # the stream of np.random.seed
    frames = []
    frame = FIRST_BLINK
    while frame < length - OPENING:
        frames.append(frame)
        frame += PAUSE + int(generator.randint(*RANDOM_PAUSE))
    return frames


def add_blinks(landmarks: np.ndarray, closures: list[int]) -> np.ndarray:
    """Narrow the eyes of every frame, and blink around the given frames.

    The lids travel between their positions in three frames, so they lag behind a moving head.

    Args:
        landmarks: (T, 68, 3) in any unit.
        closures: frames at which the lids meet.

    Returns:
        (T, 68, 3), a new array of the same dtype.
    """
    blinking = np.array(landmarks)
    for upper, lower in EYELID_PAIRS:
        gap = landmarks[:, lower] - landmarks[:, upper]
        blinking[:, upper] += EYE_NARROWING * gap
        blinking[:, lower] -= EYE_NARROWING * gap
    for frame in closures:
        for upper, lower in EYELID_PAIRS:
            gap = blinking[frame, lower] - blinking[frame, upper]
            blinking[frame, upper] += UPPER_LID_TRAVEL * gap
            blinking[frame, lower] = blinking[frame, upper]
        lids = [point for pair in EYELID_PAIRS for point in pair]
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
    """Let a portrait blink, then smooth everything, which blunts the blinks.

    Args:
        landmarks: (T, 68, 3) pixels.
        seed: of the pauses between blinks.

    Returns:
        (T, 68, 3) landmarks with blinks, and the final, smoothed ones.
    """
    blinking = add_blinks(landmarks, blink_frames(len(landmarks), seed))
    return blinking, smooth_final(blinking)
