"""TensorBoard logs of the trainings."""

from __future__ import annotations

import io
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from src.face.topology import LANDMARK_COUNT
from src.io.audio import FRAME_RATE
from src.render.landmark_image import landmark_image

SIZE = 176  # pixels, side of the image of a face
SCALE = 72.0  # pixels of a normalised unit; a jaw is 1.6 units wide
MAX_SECONDS = 4.0
FRAME_STEP = 5  # landmark frames for each frame of an animation: 12.5 fps

_log = logging.getLogger(__name__)


def summary_writer(folder: Path, step: int) -> Any:
    """Writer of a log that continues after ``step``; None, with a warning, without tensorboardX."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        _log.warning("tensorboardX is not installed: no TensorBoard log")
        return None
    return SummaryWriter(os.fspath(folder), purge_step=step + 1 if step else None)


def add_faces(writer: Any, tag: str, tracks: list[np.ndarray], step: int) -> None:
    """Log landmark tracks (T, 204), normalised, at ``FRAME_RATE``, as an animation side by side.

    TensorBoard plays GIFs. tensorboardX's own ``add_video`` needs moviepy.
    """
    from PIL import Image
    from tensorboardX.proto.summary_pb2 import Summary

    images = [Image.fromarray(frame) for frame in animate_faces(tracks)]
    gif = io.BytesIO()
    duration = round(1000 * FRAME_STEP / FRAME_RATE)  # milliseconds
    images[0].save(gif, "GIF", save_all=True, append_images=images[1:], duration=duration, loop=0)
    width, height = images[0].size
    image = Summary.Image(
        height=height, width=width, colorspace=3, encoded_image_string=gif.getvalue()
    )
    writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), step)


def animate_faces(tracks: list[np.ndarray]) -> np.ndarray:
    """Draw tracks (T, 204) side by side, centred on the first one.

    Returns:
        uint8 RGB (T', SIZE, SIZE * number of tracks, 3), every ``FRAME_STEP``-th frame.
    """
    thinned = [
        np.reshape(track[: round(MAX_SECONDS * FRAME_RATE) : FRAME_STEP], (-1, LANDMARK_COUNT, 3))
        for track in tracks
    ]
    points = np.stack([track[..., :2] for track in thinned], axis=1)  # (T', tracks, 68, 2)
    centre = 0.5 * (points[:, 0].min((0, 1)) + points[:, 0].max((0, 1)))
    pixels = SCALE * (points - centre) + SIZE / 2
    frames = [np.hstack([landmark_image(face, SIZE) for face in faces]) for faces in pixels]
    return np.stack(frames)[..., ::-1]
