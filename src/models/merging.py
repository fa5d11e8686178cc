"""Content branches side by side in one, which says what they say in the mean."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from src.models.content import ContentBranch

GATES = 4
"""Of an LSTM; PyTorch stacks their rows in one matrix."""

ALIKE = ("window", "mel", "face", "lstm_layers", "window_lead")
"""Sizes that branches must share to be joined."""


def joined(networks: Sequence[ContentBranch]) -> ContentBranch:
    """One branch whose output is the mean of the outputs of several.

    It is as wide as all of them together, and its matrices are 0 where it would carry something
    from one to another: of three branches, it has up to nine times the weights of one. It is of the
    published form, and so runs wherever one runs. Its batch norms only fit eval mode.

    Args:
        networks: in eval mode; stay as they are.

    Raises:
        ValueError: they have other windows, leads or numbers of layers.
    """
    configs = [network.config for network in networks]
    for name in ALIKE:
        if len({config[name] for config in configs}) > 1:
            raise ValueError(f"branches of different {name} cannot be joined")
    wide = ContentBranch(
        **{name: configs[0][name] for name in ALIKE},
        prior_hidden=sum(config["prior_hidden"] for config in configs),
        prior=sum(config["prior"] for config in configs),
        lstm_size=sum(config["lstm_size"] for config in configs),
        dropout=configs[0]["dropout"],
        hidden=tuple(sum(config["hidden"][layer] for config in configs) for layer in (0, 1)),
    ).eval()
    wide.to(networks[0].fc[0].weight)
    with torch.no_grad():
        _stack(wide.fc_prior[0], [network.fc_prior[0] for network in networks])
        _norm(wide.fc_prior[1], [network.fc_prior[1] for network in networks])
        _side_by_side(wide.fc_prior[3], [network.fc_prior[3] for network in networks])
        _recurrent(wide.bilstm, [network.bilstm for network in networks])
        _first_of_all(wide.fc[0], [network.fc[0] for network in networks], configs)
        _norm(wide.fc[1], [network.fc[1] for network in networks])
        _side_by_side(wide.fc[3], [network.fc[3] for network in networks])
        _norm(wide.fc[4], [network.fc[4] for network in networks])
        last = [network.fc[6] for network in networks]
        wide.fc[6].weight.copy_(torch.cat([one.weight for one in last], 1) / len(last))
        wide.fc[6].bias.copy_(sum(one.bias for one in last) / len(last))
    return wide


def _stack(wide: nn.Linear, parts: list[nn.Linear]) -> None:
    """All hear the same, and each says its own."""
    wide.weight.copy_(torch.cat([part.weight for part in parts]))
    wide.bias.copy_(torch.cat([part.bias for part in parts]))


def _side_by_side(wide: nn.Linear, parts: list[nn.Linear]) -> None:
    """Each hears what it said before, and nothing of the others."""
    wide.weight.copy_(torch.block_diag(*[part.weight for part in parts]))
    wide.bias.copy_(torch.cat([part.bias for part in parts]))


def _norm(wide: nn.BatchNorm1d, parts: list[nn.BatchNorm1d]) -> None:
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(wide, name).copy_(torch.cat([getattr(part, name) for part in parts]))


def _recurrent(wide: nn.LSTM, parts: list[nn.LSTM]) -> None:
    for name, tensor in wide.named_parameters():
        gates = zip(*[getattr(part, name).chunk(GATES) for part in parts], strict=True)
        join = torch.block_diag if name.startswith("weight") else lambda *rows: torch.cat(rows)
        tensor.copy_(torch.cat([join(*gate) for gate in gates]))


def _first_of_all(wide: nn.Linear, parts: list[nn.Linear], configs: list[dict]) -> None:
    """Each hears the end of its own sequence, and all the same face."""
    cut = [
        part.weight.tensor_split([config["lstm_size"]], dim=1)
        for part, config in zip(parts, configs, strict=True)
    ]
    heard = torch.block_diag(*[heard for heard, _ in cut])
    wide.weight.copy_(torch.cat([heard, torch.cat([face for _, face in cut])], 1))
    wide.bias.copy_(torch.cat([part.bias for part in parts]))
