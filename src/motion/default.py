"""The default method: speech features and a still face to moving landmarks (paper, section 4).

It departs from the published release (`src.motion.released`) where the release is at fault: one
calibration over the whole recording, sequences that blend into each other, lips that cross are
parted without a jump, lids that blink follow the head, and every audio frame becomes a landmark
frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src.face.geometry import inner_lip_gap
from src.face.topology import LIP_FOLLOWERS, LIPS, SIDE_LIP_PAIRS
from src.motion.blinks import HELD, add_blinks, blink_frames
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

REST_FRACTION = 0.4
"""Fraction of the frames, those with the mouth most closed, whose mean is the rest position. More
keeps lips closed too long, fewer leave them open in a p, b or m."""

MIRRORED = 48
"""Windows repeated backwards before the first and after the last one."""

PARTING_SIDE = 0.5
"""Fraction of the correction of crossed lips that the pairs next to the corners follow."""


def predict_landmarks(
    speech: SpeechFeatures, face: np.ndarray, models: MotionModels, settings: MotionSettings
) -> np.ndarray:
    """Moving landmarks of a recording.

    Args:
        speech: features of T audio frames.
        face: (68, 3) normalised still face.
        models: content and speaker-aware branch.
        settings: amplitudes.

    Returns:
        (T, 68, 3) float32 normalised landmarks at 62.5 frames a second.
    """
    content, speaker = models.content_branch, models.speaker_branch
    content_windows = windows_of(speech.content, content.config.window_lead)
    lips = amplify_lips(calibrate(content_output(content, content_windows, face)), settings)
    speaker_windows = windows_of(speech.content, speaker.config.window_lead)
    head = speaker_displacement(speaker, speaker_windows, speech.speaker_embedding)
    return smooth_joined(combine(face, settings.amp_pos * head, lips))


def calibrate(displacement: np.ndarray) -> np.ndarray:
    """Subtract from (T, 68, 3) the rest position: the mean of the frames with the lips closest.

    They are `REST_FRACTION` of all. The release takes the smaller half of each coordinate by
    itself, which for the upper lip, whose y is smallest when it is raised, is the open mouth.
    """
    count = max(int(REST_FRACTION * len(displacement)), 1)
    at_rest = np.argsort(inner_lip_gap(displacement))[:count]
    return displacement - displacement[at_rest].mean(axis=0)


def amplify_lips(displacement: np.ndarray, settings: MotionSettings) -> np.ndarray:
    """Amplify the lips of displacements (T, 68, 3) in place; returns them."""
    displacement[:, LIPS, 0] *= settings.amp_lip_x
    displacement[:, LIPS, 1] *= settings.amp_lip_y
    return displacement


def speaker_displacement(
    branch: SpeakerBranch, windows: np.ndarray, embedding: np.ndarray
) -> np.ndarray:
    """Smoothed displacement of the whole face by the speaker-aware branch, lips kept together.

    Args:
        branch: in eval mode.
        windows: (T, 18, 80) standardised features.
        embedding: (256,) speaker embedding of unit length.

    Returns:
        (T, 68, 3) float32 in normalised coordinates.
    """
    # Mirrored at both ends, so that the head neither starts nor stops with a jerk.
    order = np.pad(np.arange(len(windows)), MIRRORED, mode="symmetric")
    output = speaker_output(branch, windows, embedding, order)
    return keep_lips_closed(smooth(output, *SPEAKER_SMOOTHING)[MIRRORED:-MIRRORED])


def combine(face: np.ndarray, speaker: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Still face (68, 3) plus both displacements (T, 68, 3), crossed lips parted; float32."""
    landmarks = np.asarray(face, np.float32) + speaker + content
    part_lips(landmarks)
    return landmarks


def part_lips(landmarks: np.ndarray) -> None:
    """Let inner lip points of (T, 68, 3) that have crossed meet halfway, in place; y down.

    The outer lips follow, so that each lip keeps its thickness; the correction grows from zero with
    the crossing, so nothing jumps.
    """
    for (upper, lower), followers in LIP_FOLLOWERS.items():
        half = 0.5 * np.maximum(landmarks[:, upper, 1] - landmarks[:, lower, 1], 0)
        landmarks[:, upper, 1] -= half
        landmarks[:, lower, 1] += half
        for above, below in followers:
            weight = PARTING_SIDE if (above, below) in SIDE_LIP_PAIRS else 1.0
            landmarks[:, above, 1] -= weight * half
            landmarks[:, below, 1] += weight * half


def finish_portrait(landmarks: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth a portrait's landmarks (T, 68, 3), then let it blink, so that blinks stay sharp.

    Returns:
        (T, 68, 3) landmarks with blinks, and the final ones: the same array here.
    """
    closures = blink_frames(len(landmarks) - HELD, np.random.default_rng(seed).integers)
    blinking = add_blinks(smooth_final(landmarks), closures)
    return blinking, blinking
