"""Weight files: names, where the weights lie inside, and the published files' digests."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from src.errors import InputError
from src.models.config import AutoVCConfig, ContentConfig, SpeakerConfig, TranslationConfig
from src.models.dimensions import EMBEDDING_SIZE, LANDMARK_COUNT, MEL_BANDS

CHECKPOINTS = Path(__file__).resolve().parents[2] / "examples" / "ckpt"
"""Folder of the published checkpoints, with the embedded weights in a folder of it."""


class WeightFile(NamedTuple):
    """A network's published checkpoint."""

    config: type  # dataclass of its sizes
    published: str  # name of the file
    key: str  # of the weights in a checkpoint, the published one's and those of trainings


NETWORKS = {
    "autovc": WeightFile(AutoVCConfig, "ckpt_autovc.pth", "model"),
    "content": WeightFile(ContentConfig, "ckpt_content_branch.pth", "model_g_face_id"),
    "speaker": WeightFile(SpeakerConfig, "ckpt_speaker_branch.pth", "G"),
    "translation": WeightFile(TranslationConfig, "ckpt_116_i2i_comb.pth", "G"),
}
"""By the name of the embedded file, ``<name>.safetensors``."""

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

DIGESTS = {
    "ckpt_autovc.pth": "cc8bd72894437270f9f79c8e5f27b58d82828c06471fd6e5885a9b15e00cfb3c",
    "ckpt_content_branch.pth": "cfd2a176e5dc916ace71fb430ce9b2499917ff5229102aa0c5e2b954a9623dcb",
    "ckpt_speaker_branch.pth": "5cf3b00f209cf5e19cb580c23c6bc9af24ff493ba11456eb5f45958f5cbe2717",
    "ckpt_116_i2i_comb.pth": "30fdfc54743d362adaedaa1b4726ee910d7e02bdce267c291bf21b622f34b531",
    "emb.pickle": "e973e1645746c1db6c44c8342861e858c1169044521ce2cb1c335217758cb1f3",
}
"""sha256 of the published files, by name."""


def find_image_translation(folder: Path, given: Path | None, renderer: str) -> Path | None:
    """Find the image-translation checkpoint to render with; None to render without a network.

    The renderers "auto" and "unet" take the given checkpoint, else the published one in the folder.
    The embedded network measures better than no network but blurs a wide open mouth, so only "unet"
    falls back on it.

    Raises:
        InputError: the given file is absent, or the renderer is "unet" and no checkpoint exists.
    """
    if renderer not in ("auto", "unet"):
        return None
    if given is not None:
        if not given.is_file():
            raise InputError(f"{given}: no such checkpoint")
        return given
    published = folder / NETWORKS["translation"].published
    embedded = folder / EMBEDDED_FOLDER / "translation.safetensors"
    if published.is_file():
        return published
    if renderer == "auto":
        return None
    if embedded.is_file():
        return embedded
    raise InputError(f"--renderer unet: needs {published} or {embedded}, or --load_G_name")
