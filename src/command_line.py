"""Shared by the entry scripts: parser, logging, clean stops, progress, and look-up of inputs."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

from src.errors import InputError

BAD_INPUT = 2  # exit code

Item = TypeVar("Item")
log = logging.getLogger(__name__)


class OneLineParser(argparse.ArgumentParser):
    """Parser that reports errors in one line; its help keeps the description's line breaks."""

    def __init__(self, description: str) -> None:
        keep_lines = argparse.RawDescriptionHelpFormatter
        super().__init__(description=description, formatter_class=keep_lines, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message} (--help lists the options)\n")


class Stopped(KeyboardInterrupt):
    """Ctrl-C, or a request from outside to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


def run_command(command: Callable[[argparse.Namespace], None], options: argparse.Namespace) -> int:
    """Run an entry script's work.

    Progress goes to stdout, warnings and the one line of an error to stderr. Ctrl-C and SIGTERM
    unwind the stack, so that partial files are removed.

    Returns:
        Exit code: 0, 2 for bad input, 128 + signal for a stop.
    """
    _set_up_logging()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # nohup and the background jobs of a shell ignore some of them on purpose.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    try:
        command(options)
    except InputError as error:
        sys.stderr.write(" ".join(str(error).splitlines()) + "\n")
        return BAD_INPUT
    except Stopped as stop:
        sys.stderr.write(f"stopped by {stop}\n")
        return stop.exit_code
    return 0


def _stop(number: int, _frame: object) -> NoReturn:
    raise Stopped(number)


def _set_up_logging() -> None:
    progress = logging.StreamHandler(sys.stdout)
    progress.addFilter(lambda record: record.levelno < logging.WARNING)
    problems = logging.StreamHandler(sys.stderr)
    problems.setLevel(logging.WARNING)
    logging.basicConfig(format="%(message)s", handlers=[progress, problems], force=True)
    # Progress of this program only; of libraries, warnings and errors.
    logging.getLogger("src").setLevel(logging.INFO)


def progress(items: Iterable[Item], total: int, label: str) -> Iterable[Item]:
    """The items again, announced by a line, with a bar on a terminal."""
    from tqdm import tqdm

    log.info("%s (%d)", label, total)
    return tqdm(items, desc=label, total=total, leave=False, disable=None)


def find_input(name: str, examples: Path, kind: str, suffixes: Sequence[str] = ("",)) -> Path:
    """A file looked up as it is given, then in the examples' folder, with each of the suffixes.

    Raises:
        InputError: it is in neither; the message calls it a `kind`.
    """
    for base in (name, examples / name):
        for suffix in suffixes:
            if name and os.path.isfile(f"{base}{suffix}"):  # False for names no file can have
                return Path(f"{base}{suffix}")
    raise InputError(f"{name or repr(name)}: no such {kind}, neither as given nor in {examples}")
