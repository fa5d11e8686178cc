"""Processes that prepare data in parallel, and the networks that each of them loads once."""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import torch

from src.models.loading import MotionModels, load_motion_models

CHECKPOINTS = Path(__file__).resolve().parents[2] / "examples" / "ckpt"


def parallel_map(function: Callable, items: Sequence, processes: int) -> Iterator:
    """``map`` over processes that each compute on one thread; results in the order of the items."""
    if processes <= 1 or not items:
        yield from map(function, items)
        return
    spawn = multiprocessing.get_context("spawn")
    # Unlike a multiprocessing.Pool, it does not wait forever for a process that was killed.
    with ProcessPoolExecutor(processes, spawn, _use_one_thread) as pool:
        yield from pool.map(function, items)


def _use_one_thread() -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


@functools.cache
def load_networks() -> MotionModels:
    """The default networks, on the CPU, loaded once per process."""
    return load_motion_models(CHECKPOINTS, {}, "cpu")
