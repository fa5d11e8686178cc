"""Landmark detectors, each a module listed in `DETECTORS` with three functions:

    available() -> bool                        whether it runs without downloading anything
    detect(image) -> list[np.ndarray]          landmarks (68, 3) of every face in an image
    track(frames) -> Iterator[np.ndarray | None]    landmarks of the face in each frame of a video

Images are uint8 BGR (H, W, 3); landmarks are float64: x and y in pixels of the image, z in pixels,
growing towards the camera, with zero mean. A detector that cannot run raises
`thirdparty.Unavailable`.

This module imports nothing heavy, so that scripts can list the detectors in their help.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from src.errors import InputError

DETECTORS = {
    "fan": "thirdparty.fan",
    "mediapipe": "src.face.detectors.mediapipe",
}
"""Module of each detector, in the order in which "auto" prefers them."""

CHOICES = ("auto", *DETECTORS)
"""Values of --landmark_detector."""


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
