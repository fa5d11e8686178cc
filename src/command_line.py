"""What the entry scripts share: messages, options that take any file name, and a clean stop."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from src.errors import InputError

BAD_INPUT = 2  # exit code

Item = TypeVar("Item")
log = logging.getLogger(__name__)


class OneLineParser(argparse.ArgumentParser):
    """Parser that reports errors in one line and accepts file names that begin with a dash."""

    def __init__(self, **arguments: Any) -> None:
        arguments.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**{"allow_abbrev": False, **arguments})

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message} (--help lists the options)\n")

    def parse_known_args(self, args=None, namespace=None):
        args = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(self._joined(args), namespace)

    def _joined(self, args: list[str]) -> list[str]:
        """`--jpg -odd.jpg` as `--jpg=-odd.jpg`, which argparse cannot mistake for an option."""
        actions = self._option_string_actions
        joined: list[str] = []
        for index, argument in enumerate(args):
            before = actions.get(args[index - 1]) if index else None
            takes_one = before is not None and before.nargs is None
            if takes_one and argument.startswith("-") and argument not in actions:
                joined[-1] += f"={argument}"
            else:
                joined.append(argument)
        return joined


class Stopped(KeyboardInterrupt):
    """Ctrl-C, or a request from outside to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


def run_command(command: Callable[[argparse.Namespace], None], options: argparse.Namespace) -> int:
    """Run an entry script's work with its messages and its end in order.

    Progress goes to stdout, warnings and the one line of an error to stderr. Ctrl-C and SIGTERM
    unwind the stack, so that whatever was begun is cleaned up.

    Returns:
        Exit code: 0, 2 for bad input, 128 + signal for a stop.
    """
    _set_up_logging()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # nohup and a shell's background jobs have some of them ignored, and mean it.
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
    # Only our own stages are of interest; libraries speak up when something is wrong.
    logging.getLogger("src").setLevel(logging.INFO)


def progress(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    """The items again, with a bar on a terminal, and elsewhere one plain line at the beginning."""
    if not sys.stderr.isatty():
        log.info("%s (%d)", label, total)
        yield from items
        return
    from tqdm import tqdm

    yield from tqdm(items, desc=label, total=total, leave=False)


def find_input(name: str, examples: Path, kind: str) -> Path:
    """A file looked up as it is given, then in the examples' folder.

    Raises:
        InputError: it is in neither.
    """
    for path in (Path(name), examples / name):
        try:
            if name and path.exists():
                return path
        except OSError:  # a name that no file can have
            break
    raise InputError(f"{name or repr(name)}: no such {kind}, neither as given nor in {examples}")
