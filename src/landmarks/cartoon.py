"""A voice moves a puppet: like a portrait, from a face whose mouth is closed, without blinks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src import features
from src.landmarks.geometry import DEPTH_FACTOR, denormalise
from src.landmarks.motion import part_lips, predict_landmarks, smooth
from src.landmarks.topology import FACE_WITHOUT_LIPS, LIPS
from src.puppets import Puppet

if TYPE_CHECKING:
    import torch

    from src.pipeline import Speech
    from src.weights import AudioNetworks

FACE_SMOOTHING = (17, 3)
LIP_SMOOTHING_AS_RELEASED = (11, 3)
"""Savitzky-Golay window in frames of 1/62.5 s and order (published release)."""

LIP_SMOOTHING = (5, 3)
"""As for portraits: over 11 frames, 0.18 s, lips that close for a p or b do not meet."""


def puppet_landmarks(
    speech: Speech,
    puppet: Puppet,
    networks: AudioNetworks,
    *,
    amp_lip_x: float,
    amp_lip_y: float,
    amp_pos: float,
    as_released: bool,
    device: torch.device | str,
    speaker: np.ndarray | None = None,
) -> np.ndarray:
    """Move a puppet to speech.

    Args:
        speech: what is said, and by whom.
        puppet: with its closed face.
        networks: in eval mode, on `device`.
        amp_lip_x: factor on the lips' motion to the sides.
        amp_lip_y: factor on the lips' motion up and down.
        amp_pos: factor on the motion of head and face.
        as_released: step for step as the published release.
        device: where the networks are.
        speaker: (256,) embedding in place of the voice's own.

    Returns:
        (T, 68, 3) float32 at `audio.FRAME_RATE`: x and y in pixels of the puppet's drawing.
    """
    face = np.array(puppet.closed_face)
    if not as_released:
        # The files hold ten times the depth of the portraits that the networks were trained on.
        face[:, 2] = DEPTH_FACTOR * networks.standard_face[:, 2]
    # The release loses as many frames at the end as a window is long.
    lost = features.WINDOW if as_released else 0
    count = max(1, len(speech.content) - lost)
    predicted = predict_landmarks(
        networks.content,
        networks.speaker,
        features.windows(speech.content, networks.content.window_lead)[:count],
        features.windows(speech.content, networks.speaker.window_lead)[:count],
        speech.speaker if speaker is None else speaker,
        face,
        amp_lip_x=0.0 if speech.silent else amp_lip_x,
        amp_lip_y=0.0 if speech.silent else amp_lip_y,
        amp_pos=amp_pos,
        as_released=as_released,
        device=device,
    )
    return finish_puppet(predicted, puppet, as_released=as_released)


def finish_puppet(predicted: np.ndarray, puppet: Puppet, *, as_released: bool) -> np.ndarray:
    """Predicted landmarks (T, 68, 3), normalised, to smoothed ones in the drawing's pixels."""
    pixels = denormalise(predicted, puppet.scale, puppet.shift)
    lips = LIP_SMOOTHING_AS_RELEASED if as_released else LIP_SMOOTHING
    smoothed = np.concatenate(
        [smooth(pixels[:, FACE_WITHOUT_LIPS], *FACE_SMOOTHING), smooth(pixels[:, LIPS], *lips)],
        axis=1,
    )
    if not as_released:
        part_lips(smoothed)  # smoothing lets lips that met overshoot
    return smoothed
