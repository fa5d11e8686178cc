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
    """Log landmark tracks side by side as an animation, centred on the first one.

    TensorBoard plays GIFs. tensorboardX's own ``add_video`` needs moviepy.

    Args:
        tracks: (T, 204) each, normalised, at ``FRAME_RATE``.
    """
    from PIL import Image
    from tensorboardX.proto.summary_pb2 import Summary

    frames = slice(0, round(MAX_SECONDS * FRAME_RATE), FRAME_STEP)
    points = np.stack([track[frames].reshape(-1, LANDMARK_COUNT, 3)[..., :2] for track in tracks])
    centre = 0.5 * (points[0].min((0, 1)) + points[0].max((0, 1)))
    pixels = SCALE * (points - centre) + SIZE / 2
    images = [
        Image.fromarray(np.hstack([landmark_image(face, SIZE) for face in faces])[..., ::-1])
        for faces in zip(*pixels, strict=True)
    ]
    gif = io.BytesIO()
    duration = round(1000 * FRAME_STEP / FRAME_RATE)  # milliseconds
    images[0].save(gif, "GIF", save_all=True, append_images=images[1:], duration=duration, loop=0)
    width, height = images[0].size
    image = Summary.Image(
        height=height, width=width, colorspace=3, encoded_image_string=gif.getvalue()
    )
    writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), step)
