"""Processes that prepare data in parallel, and the networks that each of them loads once."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import cv2
import torch

from src.errors import InputError
from src.models.loading import MotionModels, load_motion_models
from src.models.registry import CHECKPOINTS


def parallel_map(function: Callable, items: Sequence, processes: int) -> Iterator:
    """``map`` over processes that each compute on one thread; results in the order of the items.

    Raises:
        InputError: a process was killed.
    """
    if processes <= 1 or not items:
        yield from map(function, items)
        return
    spawn = multiprocessing.get_context("spawn")
    # Unlike a multiprocessing.Pool, it does not wait forever for a process that was killed.
    with ProcessPoolExecutor(processes, spawn, _set_up_process) as pool:
        try:
            yield from pool.map(function, items)
        except BrokenProcessPool:
            reason = "a process was killed, perhaps for lack of memory; try fewer --jobs"
            raise InputError(reason) from None
        except BaseException:
            # The executor would wait for the items that its processes have begun.
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _set_up_process() -> None:
    """Use one thread; end on Ctrl-C without a traceback, and when the parent process ends."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # which a parent may want
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


@functools.cache
def load_networks() -> MotionModels:
    """The default networks, on the CPU, loaded once per process."""
    return load_motion_models(CHECKPOINTS, {}, "cpu")
