"""Sizes of the networks: one dataclass for each, which its checkpoints store.

Nothing heavy is imported here, so the training scripts make options from these fields.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from src.models.dimensions import (
    EMBEDDING_SIZE,
    F0_BINS,
    FACE_SIZE,
    FRAME_MULTIPLE,
    IMAGE_SIZE,
    MEL_BANDS,
    WINDOW,
)
from src.options import option

Config = TypeVar("Config")

WIDEST = 8192  # units of any layer; a file that asks for more is not one of ours
DEEPEST = 32  # layers of one kind

REFINEMENT_INPUTS = 9
"""Channels that a refinement network reads: drawn landmarks, portrait, warped portrait."""

REFINEMENT_OUTPUTS = 4
"""Channels that a refinement network returns: RGB residual and alpha mask."""


def width(default: int | None, help: str, *, name: str | None = None) -> Any:
    """Field for the width of a layer."""
    return option(default, help, name=name, least=1, most=WIDEST)


def depth(default: int, help: str) -> Any:
    """Field for a number of layers."""
    return option(default, help, least=1, most=DEEPEST)


def fixed(size: int, help: str) -> Any:
    """Field for a size that the networks exchange, which no network can choose."""
    return option(size, help, choices=(size,))


def rate(default: float, help: str) -> Any:
    """Field for a dropout rate."""
    return option(default, help, least=0, most=1)


def lead() -> Any:
    """Field for the position of the predicted frame in its window.

    The networks do not use it; checkpoints carry it because it tells how to cut windows for them.
    """
    return option(
        0, "frames of a window before the one that is predicted", least=0, most=WINDOW - 1
    )


@dataclass(frozen=True)
class AutoVCConfig:
    """Sizes of `AutoVC`; the defaults are the published release's."""

    dim_neck: int = width(16, "width of the code of one direction")
    dim_emb: int = fixed(EMBEDDING_SIZE, "width of a speaker embedding")
    dim_pre: int = width(512, "width of the encoder's convolutions")
    freq: int = option(
        16,
        "frames that share one code",
        choices=[n for n in range(1, FRAME_MULTIPLE + 1) if FRAME_MULTIPLE % n == 0],
    )
    mel: int = fixed(MEL_BANDS, "mel bands")
    f0: int = fixed(F0_BINS, "width of the one-hot F0")
    dim_decoder: int | None = width(None, "width of the decoder's LSTM; that of dim_pre if absent")
    dim_post: int | None = width(None, "width of the post-net; that of dim_pre if absent")


@dataclass(frozen=True)
class ContentConfig:
    """Sizes of `ContentBranch`; the defaults are the published release's."""

    window: int = fixed(WINDOW, "frames of a window")
    mel: int = fixed(MEL_BANDS, "mel bands of a frame")
    face: int = fixed(FACE_SIZE, "coordinates of a face")
    prior_hidden: int = width(256, "hidden width of the layers applied to each frame")
    prior: int = width(161, "output width of the layers applied to each frame", name="prior_size")
    lstm_size: int = width(256, "width of the LSTM", name="hidden_size")
    lstm_layers: int = depth(3, "layers of the LSTM")
    dropout: float = rate(0.5, "between LSTM layers")
    hidden: tuple[int, int] = width((512, 256), "widths of the two layers after the LSTM")
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
    """Sizes of `SpeakerBranch`; the defaults are the published release's.

    Raises:
        ValueError: the attention's width is not a multiple of its heads.
    """

    window: int = fixed(WINDOW, "frames of a window")
    mel: int = fixed(MEL_BANDS, "mel bands of a frame")
    embedding: int = fixed(EMBEDDING_SIZE, "width of a speaker embedding")
    face: int = fixed(FACE_SIZE, "coordinates of a face")
    audio_size: int = width(256, "width of the LSTM")
    audio_layers: int = depth(3, "layers of the LSTM")
    audio_dropout: float = rate(0.0, "between LSTM layers")
    embedding_hidden: int = width(256, "first width of the layers over the speaker embedding")
    encoding: int = width(128, "width of the speaker encoding")
    z_size: int = width(128, "width of the noise")
    model_size: int = width(64, "width of the attention")
    layers: int = depth(2, "attention layers")
    heads: int = width(2, "attention heads")
    feed_forward: int = width(2048, "hidden width of an attention layer's two linear layers")
    dropout: float = rate(0.1, "in the attention layers")
    max_length: int = option(512, "windows that a sequence may have", least=64, most=10**6)
    hidden: tuple[int, int] = width((512, 256), "widths of the two layers before the output")
    window_lead: int = lead()

    def __post_init__(self) -> None:
        _require_heads(self.model_size, self.heads)


@dataclass(frozen=True)
class MotionDiscriminatorConfig:
    """Sizes of `MotionDiscriminator`; the attention's are those of `SpeakerConfig`."""

    encoding: int = 128  # width of the speaker encoding
    model_size: int = 64
    layers: int = 2
    heads: int = 2
    feed_forward: int = 2048
    dropout: float = 0.1
    hidden: tuple[int, int] = (512, 256)  # widths of the layers after the maximum over time
    window: int = 64  # frames that get one score

    def __post_init__(self) -> None:
        _require_heads(self.model_size, self.heads)


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
        return REFINEMENT_INPUTS if self.mends else 6

    @property
    def outputs(self) -> int:
        """Channels out: an image or, for a refinement, RGB residual and alpha mask."""
        return REFINEMENT_OUTPUTS if self.mends else 3


def stored_config(kind: type[Config], stored: Mapping[str, Any]) -> Config | EnsembleConfig:
    """The sizes that a checkpoint stores, checked against the bounds of their fields.

    Args:
        kind: dataclass of the network; `ContentConfig` also stands for an ensemble's.
        stored: the checkpoint's config; absent sizes have their default.

    Raises:
        ValueError: an unknown name, or a value that no such network has.
    """
    if kind in (ContentConfig, EnsembleConfig) and "members" in stored:
        members = stored["members"]
        if not isinstance(members, list | tuple) or not 1 <= len(members) <= DEEPEST:
            raise ValueError(f"members {members!r}, expected 1 to {DEEPEST} configs")
        return EnsembleConfig(
            tuple(stored_config(ContentConfig, dict(member)) for member in members)
        )
    if kind is TranslationConfig:
        stored = _with_mends(stored)
    if kind is SpeakerConfig:  # older checkpoints tell whether they carry weights without use
        stored = {name: value for name, value in stored.items() if name != "unused_decoder"}
    known = {field.name: field for field in dataclasses.fields(kind)}
    values = {}
    for name, value in stored.items():
        if name not in known:
            raise ValueError(f"{name} {value!r}, which is unknown")
        field = known[name]
        values[name] = _checked(name, value, field.default, field.metadata)
    return kind(**values)


def _with_mends(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Older checkpoints hold numbers of channels, from which `mends` follows."""
    stored = dict(stored)
    channels = {name: stored.pop(name) for name in ("input_nc", "output_nc") if name in stored}
    stored.setdefault("mends", channels.get("input_nc", 6) == REFINEMENT_INPUTS)
    expected = TranslationConfig(mends=bool(stored["mends"]))
    for name, size in {"input_nc": expected.inputs, "output_nc": expected.outputs}.items():
        if channels.get(name, size) != size:
            raise ValueError(f"{name} {channels[name]!r}, expected {size}")
    return stored


def _checked(name: str, value: Any, default: Any, about: Mapping[str, Any]) -> Any:
    """A stored value of a field with that default and metadata.

    Raises:
        ValueError: another type, or out of bounds.
    """
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple) or len(value) != len(default):
            raise ValueError(f"{name} {value!r}, expected {len(default)} numbers")
        return tuple(_checked(name, each, default[0], about) for each in value)
    if value is None and default is None:
        return None
    kind = int if default is None else type(default)
    if kind is float and type(value) is int:
        value = float(value)
    least, most, choices = about["least"], about["most"], about["choices"]
    if type(value) is kind and (
        kind is bool or (value in choices if choices is not None else least <= value <= most)
    ):
        return value
    expected = f"{kind.__name__} from {least} to {most}"
    if choices is not None or kind is bool:
        expected = " or ".join(map(str, choices or (True, False)))
    raise ValueError(f"{name} {value!r}, expected {expected}")


def _require_heads(model_size: int, heads: int) -> None:
    if model_size % heads:
        raise ValueError(f"model_size {model_size}, expected a multiple of heads {heads}")
