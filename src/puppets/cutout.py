"""Cutting a figure out of a plain background."""

import logging

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from src.errors import InputError

COLOUR_TOLERANCE = 12.0  # Lab distance up to which a pixel has the background's colour
MIN_PLAIN = 0.6  # fraction of the image's border that must have the background's colour
MIXED_WIDTH = 2  # pixels round the background in which both colours mix

log = logging.getLogger(__name__)


def cut_out(image: np.ndarray, name: str) -> np.ndarray:
    """Make the background of an image transparent.

    Pixels of the border's colour that are connected to the border are background, so that a white
    shirt before a white wall stays. Where figure and background mix, alpha is estimated from the
    colours of both, and the figure's colour is restored.

    Args:
        image: uint8 (H, W, 3 or 4), BGR or BGRA; returned as it is if it has transparency.
        name: name of the image in messages.

    Returns:
        uint8 (H, W, 4) BGRA.

    Raises:
        InputError: the background has several colours.
    """
    if image.shape[2] == 4 and (image[..., 3] < 255).any():
        log.warning("%s: has a transparent background already, --cutout is ignored", name)
        return image
    colours = np.ascontiguousarray(image[..., :3])
    lab = cv2.cvtColor(colours.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)
    # The lower border often cuts through a body: the background's colour comes from the others.
    upper = lab[: len(lab) // 2]
    background = np.median(np.concatenate([lab[0], upper[:, 0], upper[:, -1]]), 0)
    similar = np.linalg.norm(lab - background, axis=2) < COLOUR_TOLERANCE
    if border(similar).mean() < MIN_PLAIN:
        raise InputError(f"{name}: --cutout needs a background of one colour")
    _, regions = cv2.connectedComponents(similar.astype(np.uint8), connectivity=4)
    outside = np.isin(regions, np.setdiff1d(border(regions), [0]))

    kernel = np.ones((2 * MIXED_WIDTH + 1,) * 2, np.uint8)
    figure = cv2.dilate(outside.astype(np.uint8), kernel) == 0
    rows, columns = distance_transform_edt(~figure, return_distances=False, return_indices=True)
    front = colours[rows, columns].astype(np.float32)  # of the nearest pixel of the figure
    back = np.median(colours[outside], axis=0).astype(np.float32)
    span = front - back
    mixed = ((colours - back) * span).sum(2) / np.maximum((span**2).sum(2), 1.0)
    alpha = np.where(figure, 1.0, np.where(outside, 0.0, np.clip(mixed, 0.0, 1.0)))
    restored = np.where((figure | outside)[..., None], colours, front)
    return np.dstack([restored, 255 * alpha]).round().astype(np.uint8)


def border(values: np.ndarray) -> np.ndarray:
    """Values (H, W) along the border of an image, (2H + 2W,)."""
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
