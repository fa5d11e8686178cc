"""A drawing cut out of its plain background."""

import logging

import cv2
import numpy as np

from src.errors import InputError

LIKE_BACKGROUND = 12.0  # colour distance (Lab) up to which a pixel is background for sure
PLAIN_SHARE = 0.6  # of the picture's edge that must have one colour
EDGE = 2  # pixels at which drawing and background mix

log = logging.getLogger(__name__)


def cut_out(picture: np.ndarray, name: str = "the picture") -> np.ndarray:
    """Make the background of a drawing transparent.

    Background is what looks like the edge of the picture and is connected to it, so that a white
    shirt before a white wall stays. At the border, pixels are unmixed from the background's colour.

    Args:
        picture: uint8 (H, W, 3 or 4) BGR(A); one that is transparent already stays as it is.
        name: for messages.

    Returns:
        uint8 (H, W, 4).

    Raises:
        InputError: the background is not plain.
    """
    if picture.shape[2] == 4 and (picture[..., 3] < 255).any():
        log.warning("%s: transparent already, so nothing is cut out", name)
        return picture
    colours = np.ascontiguousarray(picture[..., :3])
    lab = cv2.cvtColor(colours.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)
    edge = np.concatenate([lab[0], lab[-1], lab[:, 0], lab[:, -1]])
    # The lower edge often cuts through a body: the median of what agrees is the background.
    wall = np.median(np.concatenate([lab[0], lab[: len(lab) // 2, 0], lab[: len(lab) // 2, -1]]), 0)
    if (np.linalg.norm(edge - wall, axis=1) < LIKE_BACKGROUND).mean() < PLAIN_SHARE:
        raise InputError(f"{name}: --cutout needs a background of one colour")
    like = np.linalg.norm(lab - wall, axis=2) < LIKE_BACKGROUND
    _, parts = cv2.connectedComponents(like.astype(np.uint8), connectivity=4)
    at_edge = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    outside = np.isin(parts, np.setdiff1d(at_edge, [0]))

    # Between sure background and sure drawing, alpha is how far the colour has gone from the one
    # to the other.
    drawing = ~cv2.dilate(outside.astype(np.uint8), np.ones((2 * EDGE + 1,) * 2, np.uint8)).astype(
        bool
    )
    _, labels = cv2.distanceTransformWithLabels(
        (~drawing).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.zeros((labels.max() + 1, 3), np.float32)
    nearest[labels[drawing]] = colours[drawing]
    front = nearest[labels]
    back = np.median(colours[outside], axis=0).astype(np.float32) if outside.any() else front
    span = front - back
    share = ((colours - back) * span).sum(2) / np.maximum((span**2).sum(2), 1.0)
    alpha = np.where(drawing, 1.0, np.where(outside, 0.0, np.clip(share, 0.0, 1.0)))
    mixed = ~drawing & ~outside
    unmixed = np.where(mixed[..., None], front, colours)
    return np.dstack([unmixed.round(), 255 * alpha]).round().clip(0, 255).astype(np.uint8)
