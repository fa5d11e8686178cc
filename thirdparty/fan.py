"""The paper's landmark detector: package face-alignment, 3D, with the mirrored picture averaged in.

Its three weight files (about 370 MB) are not part of the package; it downloads them into torch's
hub folder on first use.
"""

import contextlib
import functools
import hashlib
import io
import logging
import os
from pathlib import Path

import numpy as np

# Where the package gets its weights, and file names there and in torch's hub folder. The part
# behind the last dash begins the file's sha256; it is checked before the package sees a file,
# because that checks nothing and reads the depth network with an unrestricted unpickler.
WEIGHTS_URL = "https://www.adrianbulat.com/downloads/python-fan"
WEIGHT_FILES = (
    "s3fd-619a316812.pth",
    "3DFAN4-7835d9f11d.pth.tar",
    "depth-2a464da4ea.pth.tar",
)

# Its face box detector works on the whole picture; more than this (pixels) is only slower.
_LONGEST_SIDE = 1024

_log = logging.getLogger(__name__)


class Unavailable(Exception):
    """The detector cannot run here; the message is one line that says why."""


def weights_folder() -> Path:
    """Where torch keeps downloaded weights (after TORCH_HOME and XDG_CACHE_HOME)."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))
    return Path(home).expanduser() / "hub" / "checkpoints"


def weights_on_disk() -> bool:
    """Whether all three weight files have been downloaded before."""
    return all((weights_folder() / name).is_file() for name in WEIGHT_FILES)


def detect_faces(picture: np.ndarray, device: str = "cpu") -> list[np.ndarray]:
    """The 68 points of every face in a picture.

    Args:
        picture: (H, W, 3) uint8, BGR.
        device: "cpu" or "cuda".

    Returns:
        (68, 3) float64 arrays: x, y in pixels of the picture, z in pixels growing towards the
        camera, zero in its mean.

    Raises:
        Unavailable: the package is missing, or its weights are absent and cannot be downloaded, or
            are not the published ones.
    """
    import cv2

    scale = min(1.0, _LONGEST_SIDE / max(picture.shape[:2]))
    if scale < 1.0:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    aligner = _load(device)
    found = aligner.get_landmarks_from_image(np.ascontiguousarray(picture[:, :, ::-1])) or ()
    faces = []
    for face in found:
        points = np.asarray(face, np.float64) / scale
        points[:, :2] += 0.5 / scale - 0.5
        points[:, 2] -= points[:, 2].mean()
        faces.append(points)
    return faces


@functools.cache
def _load(device: str):
    """The package's FaceAlignment object, from weights that were checked before."""
    try:
        import face_alignment
    except ImportError as problem:
        raise Unavailable(f"package face-alignment cannot be imported ({problem})") from problem
    for name in WEIGHT_FILES:
        fetch_weights(name)
    # The package prints as it goes. Its compilation needs a C++ compiler and a minute, for one
    # picture.
    noise = io.StringIO()
    with contextlib.redirect_stderr(noise), contextlib.redirect_stdout(noise):
        return face_alignment.FaceAlignment(
            face_alignment.LandmarksType.THREE_D, device=device, flip_input=True, compile=False
        )


def fetch_weights(name: str) -> Path:
    """One of `WEIGHT_FILES` on the disk, downloaded where it is absent, and checked in any case.

    Raises:
        Unavailable: it cannot be downloaded, or is not the published file. What was downloaded is
            then thrown away; what was there before stays.
    """
    path = weights_folder() / name
    digest = name.split(".")[0].split("-")[-1]
    if not path.is_file():
        _download(name, path, digest)
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if not actual.startswith(digest):
        raise Unavailable(f"{path} is not the published file, delete it to download it again")
    return path


def _download(name: str, path: Path, digest: str) -> None:
    from torch.hub import download_url_to_file

    _log.info("downloading %s of face-alignment to %s", name, path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # It writes beside the place and renames what has the right digest.
        download_url_to_file(f"{WEIGHTS_URL}/{name}", str(path), digest, progress=False)
    except OSError as problem:
        raise Unavailable(f"its weights cannot be downloaded ({problem})") from problem
    except RuntimeError as problem:
        raise Unavailable(f"the download of {name} is not the published file") from problem
