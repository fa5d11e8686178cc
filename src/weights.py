"""Which weights run: the embedded ones, the published ones, or a user's own.

The networks of the audio side are used as a set of one origin, because each was trained on what
the one before it puts out.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.errors import InputError

if TYPE_CHECKING:
    import torch

    from src.networks.autovc import Generator
    from src.networks.content import ContentBranch
    from src.networks.image_translation import ResUnetGenerator
    from src.networks.speaker import SpeakerBranch

log = logging.getLogger(__name__)

AUTOVC_FILE = "ckpt_autovc.pth"
CONTENT_FILE = "ckpt_content_branch.pth"
SPEAKER_FILE = "ckpt_speaker_branch.pth"
TRANSLATION_FILE = "ckpt_116_i2i_comb.pth"
EMBEDDINGS_FILE = "emb.pickle"

TARGET_FILE = "obama_emb.txt"
STATISTICS_FILE = "MEAN_STD_AUTOVC_RETRAIN_MEL_AU.txt"
STANDARD_FACE_FILE = "STD_FACE_LANDMARKS.txt"
TEXT_FILES = (TARGET_FILE, STATISTICS_FILE, STANDARD_FACE_FILE)
"""They lie beside the AutoVC checkpoint."""

PUBLISHED = {
    AUTOVC_FILE: (
        171881992,
        "cc8bd72894437270f9f79c8e5f27b58d82828c06471fd6e5885a9b15e00cfb3c",
    ),
    CONTENT_FILE: (
        7876209,
        "cfd2a176e5dc916ace71fb430ce9b2499917ff5229102aa0c5e2b954a9623dcb",
    ),
    SPEAKER_FILE: (
        15423427,
        "5cf3b00f209cf5e19cb580c23c6bc9af24ff493ba11456eb5f45958f5cbe2717",
    ),
    TRANSLATION_FILE: (
        838606649,
        "30fdfc54743d362adaedaa1b4726ee910d7e02bdce267c291bf21b622f34b531",
    ),
    EMBEDDINGS_FILE: (
        30928111,
        "e973e1645746c1db6c44c8342861e858c1169044521ce2cb1c335217758cb1f3",
    ),
}
"""Bytes and sha256 of the files that came with the paper."""

DEFAULT_FILES = {"autovc": AUTOVC_FILE, "content": CONTENT_FILE, "speaker": SPEAKER_FILE}
PARTS = {"autovc": "model", "content": "model_g_face_id", "speaker": "G", "translation": "G"}
"""Network to the name of its weights in a published checkpoint."""


@dataclass(frozen=True)
class AudioNetworks:
    """Everything that turns a voice into landmarks, in eval mode on one device."""

    autovc: Generator
    content: ContentBranch
    speaker: SpeakerBranch
    target_embedding: np.ndarray  # (256,) of the voice that AutoVC converts to
    mel_mean: np.ndarray  # (80,) of converted mel
    mel_std: np.ndarray  # (80,)
    standard_face: np.ndarray  # (68, 3)


def load_audio_networks(
    folder: Path, given: dict[str, Path], device: torch.device | str
) -> AudioNetworks:
    """Choose and load AutoVC, content and speaker-aware branch with their constants.

    A checkpoint that carries a config comes from this repository's trainings and takes its place
    in either set. One without is a published one: they run when all of them are there together
    with their text files, and otherwise the embedded set does; a line says what is missing.

    Args:
        folder: with the checkpoints, and the embedded set in `embedded`.
        given: "autovc", "content", "speaker" to a path that the user gave.
        device: for the networks.

    Raises:
        InputError: a given file is absent or broken, or a chosen set is.
    """
    loaded = {name: _load_network(name, path) for name, path in given.items()}
    own = {name for name, (_, _, config) in loaded.items() if config}
    published = {
        name: given.get(name, folder / file)
        for name, file in DEFAULT_FILES.items()
        if name not in own
    }
    texts = [given.get("autovc", folder / AUTOVC_FILE).parent / name for name in TEXT_FILES]
    wanted = [*published.values(), *texts]
    missing = [path for path in wanted if not path.is_file()]
    if not missing:
        origin, constants = "published", _read_texts(*texts)
        sources = published
    else:
        if len(missing) < len(wanted):
            names = ", ".join(path.name for path in missing)
            log.warning("the published set lacks %s: the embedded weights run instead", names)
        embedded = folder / "embedded"
        origin, constants = "embedded", _read_constants(embedded / "constants.safetensors")
        sources = {name: embedded / f"{name}.safetensors" for name in published}
    for name, path in sources.items():
        if name not in loaded or origin == "embedded":
            loaded[name] = _load_network(name, path)
    if origin == "published":
        for name, path in published.items():
            compare_with_published(path, DEFAULT_FILES[name])
    contents = loaded["content"][1] if "content" in own else {}
    if "mel_mean" in contents and "mel_std" in contents:
        constants["mel_mean"] = np.asarray(contents["mel_mean"], np.float32)
        constants["mel_std"] = np.asarray(contents["mel_std"], np.float32)
    others = "".join(f", {given[name]}" for name in sorted(own))
    log.info("weights from voice to landmarks: %s%s", origin, others)
    networks = {name: network.to(device) for name, (network, _, _) in loaded.items()}
    return AudioNetworks(**networks, **constants)


def find_translation(folder: Path, given: Path | None) -> Path | None:
    """The image-translation checkpoint: as given, else the published one where it is.

    Raises:
        InputError: the given one is absent.
    """
    path = given or folder / TRANSLATION_FILE
    if path.is_file():
        return path
    if given:
        raise InputError(f"{given}: no such checkpoint")
    return None


def load_translation(path: Path, device: torch.device | str) -> ResUnetGenerator:
    """The image-translation network of a checkpoint, in eval mode.

    Raises:
        InputError: the file is not such a checkpoint.
    """
    network, _, config = _load_network("translation", path)
    if not config:
        compare_with_published(path, TRANSLATION_FILE)
    log.info("weights from landmarks to frames: %s", path)
    return network.to(device)


def compare_with_published(path: Path, name: str) -> None:
    """Say it in one line where a file is not the published one called `name`."""
    size, digest = PUBLISHED[name]
    if path.stat().st_size == size:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == digest:
                return
    log.warning("%s: not the published %s (its sha256 differs), used as it is", path, name)


def _load_network(name: str, path: Path) -> tuple[torch.nn.Module, dict[str, Any], dict]:
    """A network in eval mode, what else its checkpoint holds, and its config."""
    from src.checkpoints import checkpoint_part, load_weights, read_checkpoint

    contents, config = read_checkpoint(path)
    weights = checkpoint_part(contents, PARTS[name], path)
    try:
        network = _network_class(name)(**config)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: its config makes no {name} network: {reason}") from None
    load_weights(network, weights, path)
    others = {key: value for key, value in contents.items() if value is not weights}
    return network.eval().requires_grad_(False), others, config


def _network_class(name: str) -> type:
    from src.networks.autovc import Generator
    from src.networks.content import ContentBranch
    from src.networks.image_translation import ResUnetGenerator
    from src.networks.speaker import SpeakerBranch

    classes = {"autovc": Generator, "content": ContentBranch, "speaker": SpeakerBranch}
    return {**classes, "translation": ResUnetGenerator}[name]


def _read_texts(target: Path, statistics: Path, standard_face: Path) -> dict[str, np.ndarray]:
    both = _read_numbers(statistics, 160).reshape(2, 80)
    return {
        "target_embedding": _read_numbers(target, 256),
        "mel_mean": both[0],
        "mel_std": both[1],
        "standard_face": _read_numbers(standard_face, 204).reshape(68, 3),
    }


def _read_numbers(path: Path, count: int) -> np.ndarray:
    try:
        numbers = np.array(path.read_text(encoding="utf-8").split(), np.float64)
    except ValueError:
        raise InputError(f"{path}: not a text of numbers") from None
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise InputError(f"{path}: {count} finite numbers were expected, not {len(numbers)}")
    return numbers


def _read_constants(path: Path) -> dict[str, np.ndarray]:
    from src.checkpoints import read_checkpoint

    tensors, _ = read_checkpoint(path)
    shapes = {
        "target_embedding": (256,),
        "mel_mean": (80,),
        "mel_std": (80,),
        "standard_face": (68, 3),
    }
    for name, shape in shapes.items():
        if name not in tensors or tuple(tensors[name].shape) != shape:
            raise InputError(f"{path}: no {name} of shape {shape} in it")
    return {name: tensors[name].float().numpy() for name in shapes}
