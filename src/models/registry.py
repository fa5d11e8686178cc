"""Weight files: names, where the weights lie inside, and the published files' digests."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from src.errors import InputError
from src.models.dimensions import EMBEDDING_SIZE, LANDMARK_COUNT, MEL_BANDS

CHECKPOINTS = Path(__file__).resolve().parents[2] / "examples" / "ckpt"
"""Folder of the published checkpoints, with the embedded weights in a folder of it."""


class WeightFile(NamedTuple):
    """Files of one network."""

    published: str
    """Name of the published checkpoint."""

    key: str
    """Name of the network's weights in a checkpoint, the published one's and those of trainings."""

    embedded: str
    """Name in the folder of embedded weights."""


class Digest(NamedTuple):
    """Size in bytes and sha256 of a file."""

    size: int
    sha256: str


NETWORKS = {
    "autovc": WeightFile("ckpt_autovc.pth", "model", "autovc.safetensors"),
    "content": WeightFile("ckpt_content_branch.pth", "model_g_face_id", "content.safetensors"),
    "speaker": WeightFile("ckpt_speaker_branch.pth", "G", "speaker.safetensors"),
    "translation": WeightFile("ckpt_116_i2i_comb.pth", "G", "translation.safetensors"),
}

MOTION_NETWORKS = ("autovc", "content", "speaker")
"""Networks between audio and landmarks. Each was trained on the output of the one before it, so
they are used as a set of one origin."""

EMBEDDED_FOLDER = "embedded"
CONSTANTS_FILE = "constants.safetensors"
"""In the folder of embedded weights."""

CONSTANTS = {
    "target_embedding": (EMBEDDING_SIZE,),
    "mel_mean": (MEL_BANDS,),
    "mel_std": (MEL_BANDS,),
    "standard_face": (LANDMARK_COUNT, 3),
}
"""Arrays that the method needs besides the networks, and their shapes."""

TARGET_FILE = "obama_emb.txt"
STATISTICS_FILE = "MEAN_STD_AUTOVC_RETRAIN_MEL_AU.txt"
STANDARD_FACE_FILE = "STD_FACE_LANDMARKS.txt"
"""Text files with the published constants, beside the published AutoVC checkpoint."""

EMBEDDINGS_FILE = "emb.pickle"
"""Published speaker embeddings by name."""

DIGESTS = {
    "ckpt_autovc.pth": Digest(
        171881992, "cc8bd72894437270f9f79c8e5f27b58d82828c06471fd6e5885a9b15e00cfb3c"
    ),
    "ckpt_content_branch.pth": Digest(
        7876209, "cfd2a176e5dc916ace71fb430ce9b2499917ff5229102aa0c5e2b954a9623dcb"
    ),
    "ckpt_speaker_branch.pth": Digest(
        15423427, "5cf3b00f209cf5e19cb580c23c6bc9af24ff493ba11456eb5f45958f5cbe2717"
    ),
    "ckpt_116_i2i_comb.pth": Digest(
        838606649, "30fdfc54743d362adaedaa1b4726ee910d7e02bdce267c291bf21b622f34b531"
    ),
    EMBEDDINGS_FILE: Digest(
        30928111, "e973e1645746c1db6c44c8342861e858c1169044521ce2cb1c335217758cb1f3"
    ),
}
"""Of the published files, by name."""


def find_image_translation(folder: Path, given: Path | None, renderer: str) -> Path | None:
    """Find the image-translation checkpoint to render with; None to render without a network.

    "auto" takes the published checkpoint where it exists. The embedded network measures better
    than no network but blurs a wide open mouth, so only "unet" falls back on it.

    Args:
        folder: with the published checkpoint, and the embedded one in `EMBEDDED_FOLDER`.
        given: path that the user gave, taken by "auto" and "unet".
        renderer: "auto", "unet" or "warp".

    Raises:
        InputError: the given file is absent, or the renderer is "unet" and no checkpoint exists.
    """
    if renderer == "warp":
        return None
    if given is not None:
        if not given.is_file():
            raise InputError(f"{given}: no such checkpoint")
        return given
    files = NETWORKS["translation"]
    published = folder / files.published
    embedded = folder / EMBEDDED_FOLDER / files.embedded
    for path in [published] if renderer == "auto" else [published, embedded]:
        if path.is_file():
            return path
    if renderer == "auto":
        return None
    raise InputError(f"--renderer unet: needs {published} or {embedded}, or --load_G_name")
