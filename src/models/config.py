"""Sizes of the networks: one dataclass for each, which its checkpoints store.

Nothing heavy is imported here, so the training scripts make options from these fields.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from src.models.dimensions import IMAGE_SIZE, WINDOW
from src.options import check, option

Config = TypeVar("Config")

MOST_MEMBERS = 32  # of an ensemble


def width(default: int | None, help: str, *, name: str | None = None) -> Any:
    """Field for the width of a layer; a file that asks for more than 8192 is not one of ours."""
    return option(default, help, name=name, least=1, most=8192)


def layers(default: int) -> Any:
    """Field for a number of LSTM layers."""
    return option(default, "layers of the LSTM", least=1, most=32)


def lead() -> Any:
    """Field that tells how to cut windows for a network, which does not use it itself."""
    about = "frames of a window before the one that is predicted"
    return option(0, about, least=0, most=WINDOW - 1)


@dataclass(frozen=True)
class AutoVCConfig:
    """Sizes of `AutoVC`; the defaults are the published release's."""

    dim_neck: int = width(16, "width of the code of one direction")
    dim_pre: int = width(512, "width of the encoder's convolutions")
    freq: int = option(16, "frames that share one code", choices=(1, 2, 4, 8, 16, 32))
    dim_decoder: int | None = width(None, "width of the decoder's LSTM; that of dim_pre if absent")
    dim_post: int | None = width(None, "width of the post-net; that of dim_pre if absent")


@dataclass(frozen=True)
class ContentConfig:
    """Sizes of `ContentBranch`; the defaults are the published release's."""

    prior_hidden: int = width(256, "hidden width of the layers applied to each frame")
    prior: int = width(161, "output width of the layers applied to each frame", name="prior_size")
    lstm_size: int = width(256, "width of the LSTM", name="hidden_size")
    lstm_layers: int = layers(3)
    dropout: float = option(0.5, "between LSTM layers", least=0, most=1)
    window_lead: int = lead()


@dataclass(frozen=True)
class EnsembleConfig:
    """Sizes of the members of a `ContentEnsemble`.

    Raises:
        ValueError: no members, or members that need windows cut in different ways.
    """

    members: tuple[ContentConfig, ...]

    def __post_init__(self) -> None:
        leads = {member.window_lead for member in self.members}
        if len(leads) != 1:
            raise ValueError(f"members with the same window_lead wanted, not {sorted(leads)}")

    @property
    def window_lead(self) -> int:
        """Frames of a window before the one that is predicted."""
        return self.members[0].window_lead


@dataclass(frozen=True)
class SpeakerConfig:
    """Sizes of `SpeakerBranch`; the defaults are the published release's."""

    audio_size: int = width(256, "width of the LSTM")
    audio_layers: int = layers(3)
    feed_forward: int = width(2048, "hidden width of an attention layer's two linear layers")
    dropout: float = option(0.1, "in the attention layers", least=0, most=1)
    max_length: int = option(512, "windows that a sequence may have", least=64, most=10**6)
    window_lead: int = lead()


@dataclass(frozen=True)
class TranslationConfig:
    """Sizes of `ResUnetGenerator`; the defaults are the published release's.

    A network with `mends` refines the portrait warped to the landmarks; one without generates the
    frame, as the paper's does.
    """

    mends: bool = option(False, "refine the warped portrait instead of generating the frame")
    num_downs: int = option(
        6,
        "stride-2 levels; sides of images must be multiples of 2 to this power",
        least=2,
        most=int(math.log2(IMAGE_SIZE)),
    )
    ngf: int = option(64, "width of the first level; the next ones double", least=1, most=512)
    max_widening: int = option(
        8, "widths stop doubling at this many times the first one", least=1, most=16
    )

    @property
    def inputs(self) -> int:
        """Channels in: landmark image, portrait and, for a refinement, the warped portrait."""
        return 9 if self.mends else 6

    @property
    def outputs(self) -> int:
        """Channels out: an image or, for a refinement, RGB residual and alpha mask."""
        return 4 if self.mends else 3


def stored_config(kind: type[Config], stored: Mapping[str, Any]) -> Config | EnsembleConfig:
    """The sizes that a checkpoint stores, checked against the bounds of their fields.

    Args:
        kind: dataclass of the network; `ContentConfig` also stands for an ensemble's.
        stored: the checkpoint's config. Absent sizes have their default, and others are ignored:
            whether the network is the one that the file holds shows in the weights' shapes.

    Raises:
        ValueError: a value that no such network has.
    """
    if kind is ContentConfig and "members" in stored:
        if len(stored["members"]) > MOST_MEMBERS:
            raise ValueError(f"{len(stored['members'])} members, expected at most {MOST_MEMBERS}")
        return EnsembleConfig(tuple(_checked(kind, member) for member in stored["members"]))
    return _checked(kind, stored)


def _checked(kind: type[Config], stored: Mapping[str, Any]) -> Config:
    fields = [field for field in dataclasses.fields(kind) if field.name in stored]
    return kind(**{field.name: check(field, stored[field.name]) for field in fields})
