"""Export of trained networks as embedded weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from src.data.reference_faces import load_reference_faces
from src.errors import InputError
from src.face.topology import LIPS, RIGID_POINTS
from src.io.checkpoint import save_embedded, to_half
from src.io.files import check_writable, read_array
from src.models.config import EnsembleConfig
from src.models.content import ContentBranch, ContentEnsemble
from src.models.loading import load_network, stored_statistics
from src.models.registry import CONSTANTS, CONSTANTS_FILE, NETWORKS

Statistics = tuple[torch.Tensor, torch.Tensor]
"""Mean and standard deviation (mel,) of features."""


def collect(
    root: Path,
    autovc: Path,
    content: Sequence[Path],
    speaker: Path,
    translation: Path | None,
    lip_gain: float,
) -> dict[str, tuple[dict, dict]]:
    """Read, check and adapt the networks of several trainings.

    The content branches are adapted to the speaker-aware branch: they take features standardised
    as it does, leave the points still that move with the skull, and move the lips by `lip_gain`.

    Args:
        root: folder with dump/.
        autovc: checkpoint.
        content: checkpoints; several become an ensemble.
        speaker: checkpoint.
        translation: checkpoint, if it is to be exported.
        lip_gain: factor on vertical lip motion.

    Returns:
        File name to float16 tensors and config.

    Raises:
        InputError: something is missing, does not fit together or does not fit float16.
    """
    target = root / "dump" / "target_embedding.npy"
    if not target.is_file():
        raise InputError(f"{target}: absent; main_prepare_data.py --step content writes it")
    embedding = read_array(target, CONSTANTS["target_embedding"], name="target_embedding")
    networks = {"autovc": load_network("autovc", autovc).network}
    networks["speaker"], contents, _ = load_network("speaker", speaker)
    mean, std = map(torch.from_numpy, stored_statistics(contents, speaker))
    branches: list[ContentBranch] = []
    for path in content:
        network, contents, _ = load_network("content", path)
        members = network.members if isinstance(network, ContentEnsemble) else [network]
        own = tuple(map(torch.from_numpy, stored_statistics(contents, path)))
        for branch in members:
            restandardise(branch, own, (mean, std))
            scale_lips(branch, lip_gain)
            hold_skull(branch)
            branches.append(branch)
    networks["content"] = branches[0] if len(branches) == 1 else ensemble(branches)
    if translation:
        networks["translation"] = load_network("translation", translation).network
    files = {
        NETWORKS[name].embedded: (network.state_dict(), dataclasses.asdict(network.config))
        for name, network in networks.items()
    }
    constants = {
        "target_embedding": torch.from_numpy(embedding).float(),
        "mel_mean": mean,
        "mel_std": std,
        "standard_face": torch.from_numpy(load_reference_faces(root).standard_face).float(),
    }
    files[CONSTANTS_FILE] = constants, {}
    halves = {}
    for name, (tensors, config) in files.items():
        try:
            halves[name] = to_half(tensors), config
        except ValueError as error:
            raise InputError(f"{name}: {error}") from None
    return halves


def save(files: dict[str, tuple[dict, dict]], folder: Path) -> None:
    """Write what `collect` returns into a folder.

    Raises:
        InputError: a file cannot be written there.
    """
    for name in files:
        check_writable(folder / name)
    for name, (tensors, config) in files.items():
        save_embedded(folder / name, tensors, config)


def ensemble(branches: Sequence[ContentBranch]) -> ContentEnsemble:
    """Ensemble of content branches, which become its members.

    Raises:
        InputError: they need windows cut in different ways.
    """
    try:
        network = ContentEnsemble(EnsembleConfig(tuple(branch.config for branch in branches)))
    except ValueError as error:
        raise InputError(f"--load_a2l_C_name: {error}") from None
    network.members = torch.nn.ModuleList(branches)
    return network


def scale_lips(network: ContentBranch, gain: float) -> None:
    """Scale the predicted vertical displacement of the lips, in place."""
    _scale_output(network, [3 * point + 1 for point in range(LIPS.start, LIPS.stop)], gain)


def hold_skull(network: ContentBranch) -> None:
    """Set the displacement of the points that move only with the skull to zero, in place.

    Training faces are registered by those points, where they have noise and no motion; a
    displacement of these points in a video would turn the head.
    """
    _scale_output(network, [3 * point + axis for point in RIGID_POINTS for axis in range(3)], 0.0)


@torch.no_grad()
def _scale_output(network: ContentBranch, coordinates: list[int], factor: float) -> None:
    network.fc[-1].weight[coordinates] *= factor
    network.fc[-1].bias[coordinates] *= factor


@torch.no_grad()
def restandardise(network: ContentBranch, own: Statistics, given: Statistics) -> None:
    """Adapt a network to features standardised with other statistics, in place.

    Args:
        network: takes features standardised with `own` before, with `given` afterwards.
        own: statistics of the features that it was trained with.
        given: statistics that its input will be standardised with.
    """
    first = network.fc_prior[0]
    (own_mean, own_std), (mean, std) = own, given
    first.bias += first.weight @ ((mean - own_mean) / own_std)
    first.weight *= std / own_std
