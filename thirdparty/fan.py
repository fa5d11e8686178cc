"""FAN (Bulat and Tzimiropoulos 2017), the paper's landmark detector: package face-alignment.

A detector as `src.face.detectors` describes it. Three weight files (about 370 MB) are downloaded to
torch's hub folder on first use.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from thirdparty import Unavailable

# The part behind the last dash begins the file's sha256. It is checked before the package sees a
# file, because that checks nothing and reads the depth network with an unrestricted unpickler.
WEIGHTS_URL = "https://www.adrianbulat.com/downloads/python-fan"
WEIGHT_FILES = (
    "s3fd-619a316812.pth",
    "3DFAN4-7835d9f11d.pth.tar",
    "depth-2a464da4ea.pth.tar",
)

LARGEST_SIDE = 1024  # pixels, to which larger images are reduced; more is only slower

_log = logging.getLogger(__name__)


def available() -> bool:
    """Whether all three weight files have been downloaded before."""
    return all((weights_folder() / name).is_file() for name in WEIGHT_FILES)


def detect(image: np.ndarray) -> list[np.ndarray]:
    """Detect the landmarks (68, 3) of every face in a BGR image.

    Raises:
        Unavailable: the package is missing, or its weights are absent and cannot be downloaded, or
            are not the published ones.
    """
    scale = min(1.0, LARGEST_SIDE / max(image.shape[:2]))
    if scale < 1.0:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    found = _load().get_landmarks_from_image(np.ascontiguousarray(image[:, :, ::-1])) or ()
    faces = []
    for face in found:
        points = np.asarray(face, np.float64) / scale
        points[:, :2] += 0.5 / scale - 0.5
        points[:, 2] -= points[:, 2].mean()
        faces.append(points)
    return faces


def track(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray | None]:
    """Detect the largest face in each frame on its own; arguments and exceptions as for others."""
    for frame in frames:
        faces = detect(frame)
        yield max(faces, key=lambda face: np.prod(np.ptp(face[:, :2], axis=0)), default=None)


@functools.cache
def _load():
    """The package's FaceAlignment object, from checked weights; averages the mirrored image in."""
    try:
        import face_alignment
    except ImportError as problem:
        raise Unavailable(f"package face-alignment cannot be imported ({problem})") from problem
    for name in WEIGHT_FILES:
        fetch_weights(name)
    # The package prints as it goes. Its compilation takes a C++ compiler and a minute.
    noise = io.StringIO()
    with contextlib.redirect_stderr(noise), contextlib.redirect_stdout(noise):
        return face_alignment.FaceAlignment(
            face_alignment.LandmarksType.THREE_D, device="cpu", flip_input=True, compile=False
        )


def weights_folder() -> Path:
    """Folder of downloaded weights."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def fetch_weights(name: str) -> Path:
    """Download one of `WEIGHT_FILES` unless it is there, and check it in any case.

    Raises:
        Unavailable: it cannot be downloaded, or is not the published file.
    """
    path = weights_folder() / name
    digest = name.split(".")[0].split("-")[-1]
    try:
        if not path.is_file():
            _log.info("downloading %s of face-alignment to %s", name, path.parent)
            path.parent.mkdir(parents=True, exist_ok=True)
            # Writes beside the path and renames what has the right digest.
            torch.hub.download_url_to_file(f"{WEIGHTS_URL}/{name}", path, digest, progress=False)
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as problem:
        raise Unavailable(f"its weights cannot be downloaded ({problem})") from problem
    except RuntimeError as problem:
        raise Unavailable(f"the download of {name} is not the published file") from problem
    if not actual.startswith(digest):
        raise Unavailable(f"{path} is not the published file, delete it to download it again")
    return path
