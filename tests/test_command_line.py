"""Entry scripts stop in order, and find their inputs."""

import argparse
import os
import signal

import pytest

from src.command_line import find_input, run_command
from src.errors import InputError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def signals_as_before():
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, action in before.items():
        signal.signal(number, action)


def hang_up(_options: argparse.Namespace) -> None:
    os.kill(os.getpid(), signal.SIGHUP)


def test_a_hangup_stops_with_its_number(capsys):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    assert run_command(hang_up, argparse.Namespace()) == 128 + signal.SIGHUP
    assert capsys.readouterr().err == "stopped by SIGHUP\n"


def test_what_nohup_ignores_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert run_command(hang_up, argparse.Namespace()) == 0
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_bad_input_is_one_line(capsys):
    def refuse(_options: argparse.Namespace) -> None:
        raise InputError("a.wav: broken\nin two lines")

    assert run_command(refuse, argparse.Namespace()) == 2
    assert capsys.readouterr().err == "a.wav: broken in two lines\n"


def test_inputs_are_looked_up_with_and_without_suffix(tmp_path):
    path = tmp_path / "clown.png"
    path.touch()
    (tmp_path / "clown").mkdir()
    suffixes = ("", ".jpg", ".png")
    for name, folder in (("clown", tmp_path), ("clown.png", tmp_path), (path, tmp_path / "no")):
        assert find_input(str(name), folder, "puppet", suffixes) == path
    for name in ("nobody", "", "/", "a\0b", "x" * 5000):
        with pytest.raises(InputError, match="no such puppet"):
            find_input(name, tmp_path, "puppet", suffixes)
