"""A window in which landmarks are dragged."""

from __future__ import annotations

import os
import sys

import cv2
import numpy as np

from src.errors import InputError
from src.io.image import flatten
from src.puppets.preview import draw_landmarks

TITLE = "drag the points; Enter: done, Esc: discard changes"
ENTER, ESCAPE = (10, 13), 27  # key codes
POINT_RADIUS = 3  # pixels
POLL = 20  # milliseconds


def edited(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Landmarks (68, 2) after the user has dragged them over an image (H, W, 3 or 4).

    Raises:
        InputError: no window can be opened.
    """
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        raise InputError("--edit: there is no screen to open a window on")
    background = flatten(image)
    points = landmarks.copy()
    grabbed: list[int] = []

    def on_mouse(event: int, x: int, y: int, _flags: int, _data: object) -> None:
        if event == cv2.EVENT_LBUTTONDOWN:
            grabbed[:] = [int(((points - (x, y)) ** 2).sum(1).argmin())]
        elif event == cv2.EVENT_LBUTTONUP:
            grabbed.clear()
        elif event == cv2.EVENT_MOUSEMOVE and grabbed:
            points[grabbed[0]] = x, y

    try:
        cv2.namedWindow(TITLE, cv2.WINDOW_AUTOSIZE)
        cv2.setMouseCallback(TITLE, on_mouse)
        while True:
            frame = background.copy()
            draw_landmarks(frame, points, POINT_RADIUS)
            cv2.imshow(TITLE, frame)
            key = cv2.waitKey(POLL)
            closed = cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1
            if key in ENTER or closed:
                return points
            if key == ESCAPE:
                return landmarks
    except cv2.error as error:
        raise InputError(f"--edit: no window can be opened: {error.err}") from None
    finally:
        cv2.destroyAllWindows()
