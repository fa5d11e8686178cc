"""Processes of the data preparation: a stop ends them, and their death is reported."""

import os
import signal
import time

import pytest

from src.data.workers import parallel_map
from src.errors import InputError


def kill_this_process(_item) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_is_reported():
    with pytest.raises(InputError, match="a process was killed"):
        list(parallel_map(kill_this_process, [1], 2))


def test_a_stop_does_not_wait_for_what_has_begun():
    results = parallel_map(time.sleep, [0, 300, 300, 300], 2)
    next(results)
    stopped = time.monotonic()
    results.close()
    assert time.monotonic() - stopped < 60
