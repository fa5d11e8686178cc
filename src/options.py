"""Command-line options made from dataclasses: names, defaults, bounds and help stand in one place.

    @dataclass(frozen=True, kw_only=True)
    class Settings:
        steps: int = option(2500, "optimizer steps", least=1)
        learning_rate: float = option(1e-3, "peak learning rate; paper: 1e-4", name="lr", least=0)

    add_options(parser, Settings)                 # --steps, --lr
    settings = from_options(parser.parse_args(), Settings)

A field's type is int, float, str, bool or Path, one of them or None, a tuple of one of them
(several values), or a dict of str to float (values such as `rms=0.2`).
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Settings = TypeVar("Settings")


def option(
    default: Any = dataclasses.MISSING,
    help: str = "",
    *,
    name: str | None = None,
    least: float = -math.inf,
    most: float = math.inf,
    choices: Sequence[Any] | None = None,
    metavar: str | None = None,
) -> Any:
    """A dataclass field that is also a command-line option.

    Args:
        default: value where the option is absent; without one the option is required.
        help: what it does; the default is appended.
        name: of the option, where it differs from the field's.
        least: smallest number allowed; `most` is the largest.
        choices: values allowed.
        metavar: what the help shows for the value.
    """
    metadata = {"help": help, "name": name, "least": least, "most": most}
    metadata |= {"choices": choices, "metavar": metavar}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def add_options(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup,
    settings: type,
    only: Sequence[str] | None = None,
) -> None:
    """Add an option to a parser or group for every field made with `option`.

    Args:
        only: names of the fields to add; all where None.
    """
    hints = typing.get_type_hints(settings)
    for name, field in _option_fields(settings).items():
        if only is None or field.name in only:
            _add_option(parser, f"--{name}", field, hints[field.name])


def from_options(options: argparse.Namespace, settings: type[Settings]) -> Settings:
    """The dataclass with the values of parsed options; fields without one keep their default."""
    values = {}
    for name, field in _option_fields(settings).items():
        if hasattr(options, name):
            value = getattr(options, name)
            if isinstance(value, list):
                is_dict = field.default_factory is not dataclasses.MISSING
                value = dict(value) if is_dict else tuple(value)
            values[field.name] = value
    return settings(**values)


def check(field: dataclasses.Field, value: Any) -> Any:
    """A number from a file for a field made with `option`, in the field's type.

    Raises:
        ValueError: out of the field's bounds, or of another type.
    """
    about, default = field.metadata, field.default
    if value is None and default is None:
        return None
    kind = int if default is None else type(default)
    try:
        number = between(about["least"], about["most"], kind)(value)
    except argparse.ArgumentTypeError as error:
        raise ValueError(f"{field.name}: {error}") from None
    if about["choices"] is not None and number not in about["choices"]:
        raise ValueError(f"{field.name}: {number} is none of {about['choices']}")
    return number


def between(least: float, most: float, kind: type = float) -> Callable[[Any], float]:
    """Argument type of argparse: a finite number in a closed range."""

    def parse(text: Any) -> float:
        try:
            number = kind(text)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if least <= number <= most and math.isfinite(number):
            return number
        noun = "a whole number" if kind is int else "a finite number"
        bounds = f" from {least}" if math.isfinite(least) else ""
        bounds += f" to {most}" if math.isfinite(most) else ""
        raise argparse.ArgumentTypeError(f"{text!r} is not {noun}{bounds}")

    return parse


def named_number(text: str) -> tuple[str, float]:
    """Argument type of argparse: `rms=0.2` as a name and a number from 0."""
    name, _, number = text.partition("=")
    try:
        return name, between(0, 10**6)(number)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"expected name=number, not {text}") from None


def _option_fields(settings: type) -> dict[str, dataclasses.Field]:
    """Fields made with `option`, by the option's name."""
    fields = [field for field in dataclasses.fields(settings) if "help" in field.metadata]
    return {field.metadata["name"] or field.name: field for field in fields}


def _add_option(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup,
    flag: str,
    field: dataclasses.Field,
    hint: Any,
) -> None:
    about, default = field.metadata, field.default
    text = about["help"].replace("%", "%%")
    if isinstance(hint, types.UnionType):  # X | None
        hint = typing.get_args(hint)[0]
    if hint is bool:
        parser.add_argument(flag, action="store_true", help=text)
        return
    if default not in (None, (), dataclasses.MISSING):
        text = f"{text} ({_shown(default)})".strip()
    arguments: dict[str, Any] = {"metavar": about["metavar"], "choices": about["choices"]}
    if typing.get_origin(hint) is tuple:
        arguments["nargs"], hint = "*", typing.get_args(hint)[0]
    elif typing.get_origin(hint) is dict:
        arguments["nargs"], hint, default = "*", named_number, {}
    if hint in (int, float):
        hint = between(about["least"], about["most"], hint)
    required = default is dataclasses.MISSING
    default = None if required else default
    parser.add_argument(flag, type=hint, default=default, required=required, help=text, **arguments)


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return " ".join(map(str, default))
    return f"{default:g}" if isinstance(default, float) else str(default)
