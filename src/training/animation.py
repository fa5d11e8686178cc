"""Faces drawn side by side as a moving picture, for TensorBoard."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from src.face.topology import LANDMARK_COUNT
from src.io.audio import FRAME_RATE
from src.render.landmark_image import landmark_image

SIDE = 176  # pixels of a face's picture
ZOOM = 72.0  # pixels of a normalised unit; a jaw is 1.6 of them wide
SHOWN = 4.0  # seconds at most
THINNING = 5  # frames of landmarks for one of the picture: 12.5 a second


def side_by_side(*tracks: np.ndarray) -> np.ndarray:
    """Draw tracks (T, 204), normalised, at ``FRAME_RATE``; the first one's middle is the middle.

    Returns:
        uint8 RGB (T', SIDE, SIDE * number of tracks, 3), every ``THINNING``-th frame.
    """
    shown = [
        np.reshape(track[: round(SHOWN * FRAME_RATE) : THINNING], (-1, LANDMARK_COUNT, 3))[..., :2]
        for track in tracks
    ]
    middle = 0.5 * (shown[0].min((0, 1)) + shown[0].max((0, 1)))
    frames = []
    for faces in zip(*shown, strict=True):
        drawn = [landmark_image(ZOOM * (face - middle) + SIDE / 2, SIDE) for face in faces]
        frames.append(np.concatenate(drawn, axis=1)[..., ::-1])
    return np.stack(frames)


def add_animation(writer: Any, tag: str, frames: np.ndarray, step: int) -> None:
    """Give TensorBoard (T, H, W, 3) uint8 RGB as a GIF, which it plays.

    tensorboardX's own ``add_video`` makes the same, but by way of moviepy.
    """
    from PIL import Image
    from tensorboardX.proto.summary_pb2 import Summary

    pictures = [Image.fromarray(np.ascontiguousarray(frame)) for frame in frames]
    gif = io.BytesIO()
    milliseconds = round(1000 * THINNING / FRAME_RATE)
    pictures[0].save(
        gif, "GIF", save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0
    )
    height, width, channels = frames.shape[1:]
    image = Summary.Image(
        height=height, width=width, colorspace=channels, encoded_image_string=gif.getvalue()
    )
    writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), step)
