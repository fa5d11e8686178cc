"""Export of trained networks as embedded weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from src.data.reference_faces import load_reference_faces
from src.errors import InputError
from src.face.topology import LANDMARK_COUNT, LIPS, RIGID_POINTS
from src.io.checkpoint import to_half
from src.io.files import read_array
from src.models.config import EnsembleConfig
from src.models.content import ContentBranch, ContentEnsemble
from src.models.loading import load_network, stored_statistics
from src.models.registry import CONSTANTS, CONSTANTS_FILE
from src.training.settings import Export


def collect(settings: Export) -> dict[str, tuple[dict, dict]]:
    """Read, check and adapt the networks of several trainings.

    Returns:
        File name to float16 tensors and config.

    Raises:
        InputError: something is missing, does not fit together or does not fit float16.
    """
    target = settings.root_dir / "dump" / "target_embedding.npy"
    embedding = read_array(target, CONSTANTS["target_embedding"], name="target_embedding")
    networks = {"autovc": load_network("autovc", settings.load_AUTOVC_name).network}
    path = settings.load_a2l_G_name
    networks["speaker"], contents, _ = load_network("speaker", path)
    mean, std = map(torch.from_numpy, stored_statistics(contents, path))
    branches: list[ContentBranch] = []
    for path in settings.load_a2l_C_name:
        network, contents, _ = load_network("content", path)
        own_mean, own_std = map(torch.from_numpy, stored_statistics(contents, path))
        for branch in getattr(network, "members", [network]):
            adapt(branch, (mean - own_mean) / own_std, std / own_std, settings.lip_gain)
            branches.append(branch)
    networks["content"] = branches[0] if len(branches) == 1 else ensemble(branches)
    if settings.load_G_name:
        networks["translation"] = load_network("translation", settings.load_G_name).network
    standard_face = load_reference_faces(settings.root_dir).standard_face
    constants = {
        "target_embedding": torch.from_numpy(embedding),
        "mel_mean": mean,
        "mel_std": std,
        "standard_face": torch.from_numpy(standard_face),
    }
    files = {CONSTANTS_FILE: (constants, {})}
    for name, network in networks.items():
        config = dataclasses.asdict(network.config)
        files[f"{name}.safetensors"] = network.state_dict(), config
    halves = {}
    for name, (tensors, config) in files.items():
        try:
            halves[name] = to_half(tensors), config
        except ValueError as error:
            raise InputError(f"{name}: {error}") from None
    return halves


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


@torch.no_grad()
def adapt(
    network: ContentBranch, shift: torch.Tensor, scale: torch.Tensor, lip_gain: float
) -> None:
    """Adapt a content branch to features x, where it was trained with scale * x + shift, in place.

    Vertical lip motion is scaled by `lip_gain`. The points that move only with the skull are held
    still: training faces are registered by them, so that they have noise and no motion there, and
    would turn the head of a video.
    """
    first, last = network.fc_prior[0], network.fc[-1]
    first.bias += first.weight @ shift
    first.weight *= scale
    factors = torch.ones(LANDMARK_COUNT, 3)
    factors[LIPS, 1] = lip_gain
    factors[RIGID_POINTS] = 0.0
    last.weight *= factors.view(-1, 1)
    last.bias *= factors.view(-1)
