"""Landmark detectors, each a module of this package listed in `DETECTORS`.

A detector's module has three functions:

    available() -> bool                        whether it runs without downloading anything
    detect(image, name) -> list[np.ndarray]    landmarks (68, 3) of every face in an image
    track(frames) -> Iterator[np.ndarray | None]    landmarks of the face in each frame of a video

Images are uint8 BGR (H, W, 3); landmarks are float64: x and y in pixels of the image, z in pixels,
growing towards the camera, with zero mean. `name` is what messages call the image.

This module imports nothing heavy, so that scripts can list the detectors in their help.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from src.errors import InputError

DETECTORS = {
    "fan": "src.face.detectors.fan",
    "mediapipe": "src.face.detectors.mediapipe",
}
"""Module of each detector, in the order in which "auto" prefers them."""

CHOICES = ("auto", *DETECTORS)
"""Values of --landmark_detector."""


class DetectorUnavailable(RuntimeError):
    """A detector cannot run here; the message is one line that says why."""


def candidates(name: str) -> list[str]:
    """The detectors to try in turn: the named one, or for "auto" all that are available.

    Raises:
        InputError: no detector has this name.
    """
    if name not in CHOICES:
        raise InputError(f"unknown landmark detector {name!r}, expected {', '.join(CHOICES)}")
    if name != "auto":
        return [name]
    return [candidate for candidate in DETECTORS if load(candidate).available()]


def load(name: str) -> ModuleType:
    """Import a detector's module."""
    return importlib.import_module(DETECTORS[name])
