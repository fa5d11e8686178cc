"""Which weights run: the embedded ones, the published ones, or a user's own.

The networks of the audio side are used as a set of one origin, because each was trained on what
the one before it puts out.
"""

from __future__ import annotations

import hashlib
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.errors import InputError
from src.models.dimensions import (
    EMBEDDING_SIZE,
    F0_BINS,
    FRAME_MULTIPLE,
    IMAGE_SIZE,
    LANDMARK_COUNT,
    MEL_BANDS,
    WINDOW,
)
from src.models.dimensions import FACE_SIZE as FACE

if TYPE_CHECKING:
    import torch

    from src.models.autovc import Generator
    from src.models.content import ContentBranch
    from src.models.image_translation import ResUnetGenerator
    from src.models.speaker_aware import SpeakerBranch

log = logging.getLogger(__name__)

AUTOVC_FILE = "ckpt_autovc.pth"
CONTENT_FILE = "ckpt_content_branch.pth"
SPEAKER_FILE = "ckpt_speaker_branch.pth"
TRANSLATION_FILE = "ckpt_116_i2i_comb.pth"
EMBEDDINGS_FILE = "emb.pickle"
EMBEDDED_FOLDER = "embedded"
EMBEDDED_TRANSLATION_FILE = "translation.safetensors"

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

AUTO_RENDERERS = ("published", "warp")
"""What `--renderer auto` is, the first of them that is there: the image-translation network of the
published checkpoint, or no network. The embedded one measures better than no network, but blurs a
wide open mouth, so it has to be asked for."""

SHAPES = {
    "target_embedding": (EMBEDDING_SIZE,),
    "mel_mean": (MEL_BANDS,),
    "mel_std": (MEL_BANDS,),
    "standard_face": (LANDMARK_COUNT, 3),
}
"""Constants beside the networks."""

FED = {
    "autovc": {"mel": MEL_BANDS, "dim_emb": EMBEDDING_SIZE, "f0": F0_BINS},
    "content": {"window": WINDOW, "mel": MEL_BANDS, "face": FACE},
    "speaker": {"window": WINDOW, "mel": MEL_BANDS, "face": FACE, "embedding": EMBEDDING_SIZE},
    "translation": {"input_nc": 6, "output_nc": 3},
}
"""What a network's config must say, because the pipeline feeds and wants just that.

A mending image-translation network sees to its own."""


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
        embedded = folder / EMBEDDED_FOLDER
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
        for key in ("mel_mean", "mel_std"):
            constants[key] = _checked_constant(key, contents[key], given["content"])
    others = "".join(f", {given[name]}" for name in sorted(own))
    log.info("weights from voice to landmarks: %s%s", origin, others)
    networks = {name: network.to(device) for name, (network, _, _) in loaded.items()}
    return AudioNetworks(**networks, **constants)


def load_standard_face(folder: Path) -> np.ndarray:
    """The standard face (68, 3), normalised, of a folder with checkpoints.

    The published file's if it is there, otherwise that of the embedded set.

    Raises:
        InputError: neither is there, or it is broken.
    """
    published = folder / STANDARD_FACE_FILE
    if published.is_file():
        return _read_numbers(published, FACE).reshape(SHAPES["standard_face"])
    embedded = folder / EMBEDDED_FOLDER / "constants.safetensors"
    return _read_constants(embedded)["standard_face"]


def find_translation(folder: Path, given: Path | None, renderer: str) -> Path | None:
    """The image-translation checkpoint to render with; None where none is to.

    Args:
        folder: with the published checkpoint, and the embedded one in `embedded`.
        given: a path that the user gave; with "auto" and "unet" it is that one.
        renderer: "auto", "unet" or "warp".

    Raises:
        InputError: the given one is absent, or "unet" is insisted on and there is none.
    """
    if renderer == "warp":
        return None
    if given is not None:
        if not given.is_file():
            raise InputError(f"{given}: no such checkpoint")
        return given
    places = {
        "published": folder / TRANSLATION_FILE,
        "embedded": folder / EMBEDDED_FOLDER / EMBEDDED_TRANSLATION_FILE,
    }
    for name in AUTO_RENDERERS if renderer == "auto" else places:
        if name == "warp":
            return None
        if places[name].is_file():
            return places[name]
    if renderer == "auto":
        return None
    raise InputError(
        f"--renderer unet: needs {' or '.join(map(str, places.values()))}, or --load_G_name"
    )


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
    from src.io.checkpoint import checkpoint_part, load_weights, read_checkpoint

    contents, config = read_checkpoint(path)
    weights = checkpoint_part(contents, PARTS[name], path)
    try:
        network = _network_class(name)(**config)
    except Exception as error:  # a config can hold anything
        raise _useless_config(name, path, error) from None
    _check_config(name, network, path)
    load_weights(network, weights, path)
    network.eval().requires_grad_(False)
    try:
        _try_out(name, network)
    except Exception as error:  # numbers that do not go together, such as heads and width
        raise _useless_config(name, path, error) from None
    others = {key: value for key, value in contents.items() if value is not weights}
    return network, others, config


def _useless_config(name: str, path: Path, error: Exception) -> InputError:
    reason = (str(error).splitlines() or [""])[0] or type(error).__name__
    return InputError(f"{path}: its config makes no {name} network: {reason}")


def _check_config(name: str, network: torch.nn.Module, path: Path) -> None:
    """InputError where a network's config does not go with what the pipeline feeds it."""
    config = network.config
    fed = {} if getattr(network, "mends", False) else FED[name]
    for key, wanted in fed.items():
        if config[key] != wanted:
            raise InputError(f"{path}: its config says {key} {config[key]!r}, not {wanted}")
    allowed = {
        "window_lead": range(WINDOW),
        "freq": [n for n in range(1, FRAME_MULTIPLE + 1) if FRAME_MULTIPLE % n == 0],
        "max_length": range(2, sys.maxsize),
        "num_downs": range(1, IMAGE_SIZE.bit_length()),
    }
    for key, values in allowed.items():
        if key in config and not (isinstance(config[key], int) and config[key] in values):
            raise InputError(f"{path}: its config says {key} {config[key]!r}, which cannot be")


def _try_out(name: str, network: torch.nn.Module) -> None:
    """Run a network on the smallest input; image translation, which takes seconds, is not run."""
    import torch

    windows, face = torch.zeros(2, WINDOW, MEL_BANDS), torch.zeros(1, FACE)
    speaker = torch.zeros(1, EMBEDDING_SIZE)
    with torch.inference_mode():
        if name == "autovc":
            f0 = torch.zeros(1, FRAME_MULTIPLE, F0_BINS)
            network(torch.zeros(1, FRAME_MULTIPLE, MEL_BANDS), speaker, f0, speaker, f0)
        elif name == "content":
            network(windows, face)
        elif name == "speaker":
            network(windows, speaker)


def _network_class(name: str) -> type:
    from src.models.autovc import Generator
    from src.models.content import ContentBranch
    from src.models.image_translation import ResUnetGenerator
    from src.models.speaker_aware import SpeakerBranch

    classes = {"autovc": Generator, "content": ContentBranch, "speaker": SpeakerBranch}
    return {**classes, "translation": ResUnetGenerator}[name]


def _read_texts(target: Path, statistics: Path, standard_face: Path) -> dict[str, np.ndarray]:
    mean, deviation = _read_numbers(statistics, 2 * MEL_BANDS).reshape(2, MEL_BANDS)
    _require_deviation(deviation, statistics)
    return {
        "target_embedding": _read_numbers(target, EMBEDDING_SIZE),
        "mel_mean": mean,
        "mel_std": deviation,
        "standard_face": _read_numbers(standard_face, FACE).reshape(SHAPES["standard_face"]),
    }


def _read_numbers(path: Path, count: int) -> np.ndarray:
    try:
        numbers = np.array(path.read_text(encoding="utf-8").split(), np.float64)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise InputError(f"{path}: not a text of numbers") from None
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise InputError(f"{path}: {count} finite numbers were expected, not {len(numbers)}")
    return numbers


def _read_constants(path: Path) -> dict[str, np.ndarray]:
    from src.io.checkpoint import read_checkpoint

    tensors, _ = read_checkpoint(path)
    return {name: _checked_constant(name, tensors.get(name), path) for name in SHAPES}


def _checked_constant(name: str, value: Any, path: Path) -> np.ndarray:
    """One of `SHAPES` as float32; InputError where it is none."""
    try:
        numbers = np.asarray(value, np.float32)
    except (TypeError, ValueError, RuntimeError):
        numbers = np.empty(0)
    if numbers.shape != SHAPES[name] or not np.isfinite(numbers).all():
        raise InputError(f"{path}: no {name} of {SHAPES[name]} finite numbers in it")
    if name == "mel_std":
        _require_deviation(numbers, path)
    return numbers


def _require_deviation(deviation: np.ndarray, path: Path) -> None:
    if not (deviation > 0).all():
        raise InputError(f"{path}: a deviation of the features that is not above zero")
