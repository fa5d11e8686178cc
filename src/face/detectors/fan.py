"""FAN (Bulat and Tzimiropoulos 2017), the paper's detector; downloads its weights on first use."""

from collections.abc import Iterable, Iterator

import numpy as np

from src.face.detectors import DetectorUnavailable
from thirdparty import fan


def available() -> bool:
    """Whether the weights have been downloaded before."""
    return fan.weights_on_disk()


def detect(image: np.ndarray, name: str) -> list[np.ndarray]:
    """Detect the landmarks (68, 3) of every face in a BGR image.

    Raises:
        DetectorUnavailable: the package or its weights are missing.
    """
    try:
        return fan.detect_faces(np.ascontiguousarray(image))
    except fan.Unavailable as problem:
        raise DetectorUnavailable(f"the fan landmark detector cannot run: {problem}") from problem


def track(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray | None]:
    """Detect the landmarks (68, 3) of the largest face in each frame on its own, None without one.

    Raises:
        DetectorUnavailable: the package or its weights are missing.
    """
    for frame in frames:
        faces = detect(frame, "frame")
        yield max(faces, key=lambda face: np.prod(np.ptp(face[:, :2], axis=0)), default=None)
