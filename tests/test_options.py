"""Options made from dataclasses: values, bounds and help arrive in the dataclass."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import pytest

from src.options import add_options, from_options, option


@dataclass(frozen=True, kw_only=True)
class Settings:
    root: Path = option(help="folder", name="root_dir")
    steps: int = option(2500, "optimizer steps", least=1)
    rate: float = option(1e-3, "100 % of the learning rate", name="lr", least=0, most=1)
    epochs: int | None = option(None, "instead of steps", least=1)
    fast: bool = option(False, "compute in bfloat16")
    speakers: tuple[str, ...] = option((), "held out")
    voices: tuple[str, ...] | None = option(None, "all of them by default")
    weights: dict[str, float] = option({}, "of speakers")
    kind: str = option("both", "discriminators", choices=("both", "face"))
    seed: int = option(0, "of the generator", least=0)
    internal: int = 7


def parse(*arguments: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_options(parser, Settings)
    return from_options(parser.parse_args(arguments), Settings)


def test_defaults_come_from_the_dataclass():
    assert parse("--root_dir", "x") == Settings(root=Path("x"))


def test_every_kind_of_value_arrives():
    typed = "--root_dir x --steps 3 --lr 0.5 --epochs 2 --fast --speakers a b --weights r=0.2 e=1"
    assert parse(*typed.split(), "--kind", "face") == Settings(
        root=Path("x"),
        steps=3,
        rate=0.5,
        epochs=2,
        fast=True,
        speakers=("a", "b"),
        weights={"r": 0.2, "e": 1.0},
        kind="face",
    )


def test_an_option_without_values_differs_from_an_absent_one():
    assert parse("--root_dir", "x").voices is None
    assert parse("--root_dir", "x", "--voices").voices == ()


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("--steps 0", "'0' is not a whole number from 1"),
        ("--steps 1.5", "'1.5' is not a whole number from 1"),
        ("--lr 2", "'2' is not a finite number from 0 to 1"),
        ("--lr nan", "'nan' is not a finite number from 0 to 1"),
        ("--weights r", "expected name=number, not r"),
        ("--weights r=-1", "expected name=number, not r=-1"),
        ("--kind mouth", "invalid choice: 'mouth'"),
        ("", "required: --root_dir"),
    ],
)
def test_values_out_of_bounds_are_refused(typed, problem, capsys):
    root = ["--root_dir", "x"] if typed else []
    with pytest.raises(SystemExit):
        parse(*root, *typed.split())
    assert problem in capsys.readouterr().err


def test_help_shows_defaults_and_percent_signs(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    shown = " ".join(capsys.readouterr().out.split())
    assert "100 % of the learning rate (0.001)" in shown
    assert "optimizer steps (2500)" in shown
    assert "of the generator (0)" in shown
    assert "instead of steps" in shown and "internal" not in shown
