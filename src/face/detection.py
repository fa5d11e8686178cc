"""Detection of the 68 landmarks in an image or in the frames of a video."""

import logging
from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from src.errors import InputError
from src.face.detectors import candidates, load
from src.io.image import flatten
from src.models.dimensions import LANDMARK_COUNT
from thirdparty import Unavailable

log = logging.getLogger(__name__)


def detect_landmarks(
    image: np.ndarray, detector: str = "auto", name: str = "the image"
) -> np.ndarray:
    """Detect the 68 iBUG landmarks of the largest face in an image.

    Args:
        image: uint8 BGR(A) (H, W, 3 or 4) or greyscale (H, W).
        detector: one of `src.face.detectors.CHOICES`. "auto" tries all that are available.
        name: of the image in messages, usually its file's.

    Returns:
        (68, 3) float64: x and y in pixels of the image, z in pixels, growing towards the camera.

    Raises:
        InputError: no face is found, or the detector cannot run.
    """
    image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else flatten(image)
    names = candidates(detector)
    for candidate in names:
        try:
            faces = load(candidate).detect(image)
        except Unavailable as problem:
            reason = f"{name}: the {candidate} landmark detector cannot run: {problem}"
            if candidate == names[-1]:
                raise InputError(reason) from problem
            log.warning("%s; using %s", reason, names[-1])
            continue
        if len(faces) > 1:
            log.warning("%s: %d faces found, taking the largest", name, len(faces))
        if faces:
            return max(faces, key=lambda face: np.prod(np.ptp(face[:, :2], axis=0)))
    raise InputError(f"{name}: no face found")


def track_landmarks(
    frames: Iterable[np.ndarray], detector: str = "mediapipe"
) -> Iterator[np.ndarray]:
    """Detect the landmarks (68, 3) of the face in each frame of a video, NaN where there is none.

    Args:
        frames: uint8 BGR (H, W, 3), all of one size.
        detector: one of `src.face.detectors.CHOICES`; "auto" is the first that is available.

    Raises:
        Unavailable: the detector cannot run.
    """
    absent = np.full((LANDMARK_COUNT, 3), np.nan)
    for points in load(candidates(detector)[0]).track(frames):
        yield absent if points is None else points
