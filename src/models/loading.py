"""Loading of networks: the embedded ones, the published ones, or a user's own."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from src.errors import InputError
from src.io.checkpoint import checkpoint_part, fitting_weights, read_checkpoint, read_pickle
from src.io.files import check_array, read_numbers
from src.models import config as configs
from src.models.autovc import AutoVC
from src.models.content import ContentBranch, ContentEnsemble
from src.models.image_translation import ResUnetGenerator
from src.models.registry import (
    CONSTANTS,
    CONSTANTS_FILE,
    DIGESTS,
    EMBEDDED_FOLDER,
    MOTION_NETWORKS,
    NETWORKS,
    STANDARD_FACE_FILE,
    STATISTICS_FILE,
    TARGET_FILE,
)
from src.models.speaker_aware import SpeakerBranch

log = logging.getLogger(__name__)

CLASSES = {
    configs.AutoVCConfig: AutoVC,
    configs.ContentConfig: ContentBranch,
    configs.EnsembleConfig: ContentEnsemble,
    configs.SpeakerConfig: SpeakerBranch,
    configs.TranslationConfig: ResUnetGenerator,
}


@dataclass(frozen=True)
class MotionModels:
    """Everything that turns audio into landmarks, in eval mode on one device."""

    autovc: AutoVC
    content_branch: ContentBranch | ContentEnsemble
    speaker_branch: SpeakerBranch
    target_embedding: np.ndarray  # (256,) of the speaker that AutoVC converts to
    mel_mean: np.ndarray  # (80,) of converted mel
    mel_std: np.ndarray  # (80,)
    standard_face: np.ndarray  # (68, 3)


class LoadedNetwork(NamedTuple):
    """A network and the rest of its checkpoint."""

    network: torch.nn.Module
    contents: dict[str, Any]  # the rest
    is_published: bool  # the checkpoint stores no sizes, as the published ones


def load_network(name: str, path: Path) -> LoadedNetwork:
    """Build the network that a checkpoint holds and load its weights.

    Args:
        name: key of `registry.NETWORKS`.
        path: of the checkpoint.

    Returns:
        The network on the CPU, in training mode as built.

    Raises:
        InputError: the file is no such checkpoint.
    """
    contents, stored = read_checkpoint(path)
    file = NETWORKS[name]
    weights = checkpoint_part(contents, file.key, path)
    try:
        config = configs.stored_config(file.config, stored)
        with torch.device("meta"):  # sizes are compared before memory is allocated
            blueprint = CLASSES[type(config)](config)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: its config makes no {name} network: {reason}") from None
    weights = fitting_weights(blueprint, weights, path)
    network = CLASSES[type(config)](config)
    network.load_state_dict(weights, strict=False)
    if not stored:
        compare_with_published(path, file.published)
    others = {key: value for key, value in contents.items() if key != file.key}
    return LoadedNetwork(network, others, not stored)


def load_motion_models(
    folder: Path, given: dict[str, Path], device: torch.device | str
) -> MotionModels:
    """Choose and load AutoVC, content and speaker-aware branch with their constants.

    A checkpoint that stores its sizes comes from this repository's trainings and takes its place
    in either set. One without is a published one: those run when all of them exist together with
    their text files. Otherwise the embedded set runs, and a warning names the missing files.

    Args:
        folder: with the published checkpoints, and the embedded set in `EMBEDDED_FOLDER`.
        given: "autovc", "content", "speaker" to a path that the user gave.
        device: for the networks.

    Raises:
        InputError: a given file is absent or broken, or one of the chosen set is.
    """
    loaded = {name: load_network(name, path) for name, path in given.items()}
    own = [name for name in MOTION_NETWORKS if name in loaded and not loaded[name].is_published]
    others = [name for name in MOTION_NETWORKS if name not in own]
    paths = {name: given.get(name, folder / NETWORKS[name].published) for name in MOTION_NETWORKS}
    texts = paths["autovc"].parent
    wanted = [paths[name] for name in others]
    wanted += [texts / name for name in (TARGET_FILE, STATISTICS_FILE, STANDARD_FACE_FILE)]
    missing = [path for path in wanted if not path.is_file()]
    if not missing:
        origin, constants = "published", _published_constants(texts)
    else:
        if len(missing) < len(wanted):
            names = ", ".join(path.name for path in missing)
            log.warning("the published set lacks %s: using the embedded weights instead", names)
        embedded = folder / EMBEDDED_FOLDER
        origin, constants = "embedded", _embedded_constants(embedded / CONSTANTS_FILE)
        paths |= {name: embedded / f"{name}.safetensors" for name in others}
        loaded = {name: loaded[name] for name in own}
    for name, path in paths.items():
        if name not in loaded:
            loaded[name] = load_network(name, path)
    if "content" in own and {"mel_mean", "mel_std"} <= loaded["content"].contents.keys():
        both = stored_statistics(loaded["content"].contents, given["content"])
        constants |= zip(("mel_mean", "mel_std"), both, strict=True)
    also = "".join(f", {given[name]}" for name in own)
    log.info("weights of the motion networks: %s%s", origin, also)
    networks = [loaded[name].network.eval().requires_grad_(False) for name in MOTION_NETWORKS]
    return MotionModels(*(network.to(device) for network in networks), **constants)


def load_image_translation(path: Path, device: torch.device | str) -> ResUnetGenerator:
    """Load an image-translation network, in eval mode; errors as for `load_network`."""
    network = load_network("translation", path).network
    log.info("weights of the image-translation network: %s", path)
    return network.eval().requires_grad_(False).to(device)


def load_speaker_embeddings(path: Path) -> dict[str, np.ndarray]:
    """Read the published `emb.pickle`: name to speaker embedding, float32 (256,).

    Raises:
        InputError: the file is absent or damaged, or no such dict.
    """
    contents = read_pickle(path)
    if not isinstance(contents, dict) or not contents:
        raise InputError(f"{path}: not a dict of speaker embeddings")
    embeddings = {}
    for name, value in contents.items():
        vector = np.asarray(value).squeeze()
        check_array(vector, path, CONSTANTS["target_embedding"], name=f"the embedding '{name}'")
        embeddings[str(name)] = vector.astype(np.float32)
    return embeddings


def load_standard_face(folder: Path) -> np.ndarray:
    """Read the standard face (68, 3), normalised: the published text file, else the embedded one.

    Raises:
        InputError: the folder has neither, or a broken one.
    """
    published = folder / STANDARD_FACE_FILE
    if published.is_file():
        return read_numbers(published, CONSTANTS["standard_face"])
    constants = _embedded_constants(folder / EMBEDDED_FOLDER / CONSTANTS_FILE)
    return constants["standard_face"].astype(np.float64)


def stored_statistics(contents: dict[str, Any], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (80,) of the features that a network was trained with.

    Raises:
        InputError: they are absent from the contents of its checkpoint, or broken.
    """
    return tuple(_constant(name, contents, path) for name in ("mel_mean", "mel_std"))


def _published_constants(folder: Path) -> dict[str, np.ndarray]:
    mean, std = read_numbers(folder / STATISTICS_FILE, (2, *CONSTANTS["mel_mean"]))
    _require_positive(std, folder / STATISTICS_FILE)
    target = read_numbers(folder / TARGET_FILE, CONSTANTS["target_embedding"])
    face = read_numbers(folder / STANDARD_FACE_FILE, CONSTANTS["standard_face"])
    return dict(zip(CONSTANTS, (target, mean, std, face), strict=True))


def _embedded_constants(path: Path) -> dict[str, np.ndarray]:
    tensors, _ = read_checkpoint(path)
    return {name: _constant(name, tensors, path) for name in CONSTANTS}


def _constant(name: str, tensors: dict[str, Any], path: Path) -> np.ndarray:
    """One of `CONSTANTS` as float32."""
    tensor = tensors.get(name)
    if not isinstance(tensor, torch.Tensor):
        raise InputError(f"{path}: lacks {name} (an array of shape {CONSTANTS[name]})")
    array = tensor.float().numpy().copy()
    check_array(array, path, CONSTANTS[name], name=name)
    if name == "mel_std":
        _require_positive(array, path)
    return array


def _require_positive(std: np.ndarray, path: Path) -> None:
    if not (std > 0).all():
        raise InputError(f"{path}: a standard deviation of the features that is not above zero")


def compare_with_published(path: Path, name: str) -> None:
    """Log a warning if a file differs from the published one of that name."""
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != DIGESTS[name]:
            log.warning("%s: not the published %s (its sha256 differs), used as it is", path, name)
