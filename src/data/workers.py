"""Processes that prepare data side by side, and what each of them loads once."""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from src.models.loading import MotionModels


def in_parallel(
    function: Callable, items: Iterable, processes: int, ordered: bool = False
) -> Iterator:
    """``map`` over processes that each compute on one thread, results as they come.

    Args:
        ordered: in the order of the items.
    """
    if processes <= 1:
        yield from map(function, items)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, initializer=_one_thread) as pool:
        yield from (pool.imap if ordered else pool.imap_unordered)(function, items)


def _one_thread() -> None:
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


@functools.cache
def networks_of(weights: Path) -> MotionModels:
    """The networks that run by default, loaded once a process."""
    from src.models.loading import load_motion_models

    return load_motion_models(weights, {}, "cpu")
