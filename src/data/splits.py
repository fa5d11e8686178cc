"""Splits: the speakers for training, for validation and for tests.

Whole speakers are held out, so that no figure is of a face or a voice that was trained on. The
splits are kept in ``<root_dir>/splits.json`` and used by all later steps.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from src.data.clips import speakers_to_draw_from
from src.errors import InputError
from src.io.files import read_text, write_text

SPLITS = ("train", "val", "test")
HELD_OUT = 0.1  # of the speakers, for each of val and test

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeldOut:
    """Speakers, synthetic voices or single clips that are never trained on."""

    val: frozenset[str]
    test: frozenset[str]

    def split_of(self, *names: str) -> str:
        """train, val or test, by the names of a clip and of its speaker or voice."""
        held_out = (("test", self.test), ("val", self.val))
        return next((split for split, known in held_out if known.intersection(names)), "train")


def choose_splits(root: Path, val: Sequence[str] = (), test: Sequence[str] = ()) -> HeldOut:
    """The splits: as named, else as in ``splits.json``, else drawn at random; writes the file.

    Raises:
        InputError: a name is in both lists, or the file is damaged.
    """
    path = root / "splits.json"
    if both := sorted(set(val) & set(test)):
        raise InputError(f"--val and --test: {', '.join(both)} cannot be in both")
    if path.is_file() and not (val or test):
        try:
            known = json.loads(read_text(path))
            return HeldOut(frozenset(known["val"]), frozenset(known["test"]))
        except (ValueError, KeyError, TypeError):
            raise InputError(f"{path}: not the splits of main_prepare_data.py; delete it") from None
    held_out = HeldOut(frozenset(val), frozenset(test))
    if not (val or test):
        held_out = draw_splits(speakers_to_draw_from(root))
        if not held_out.test:
            return held_out  # more clips may come
    names = {"val": sorted(held_out.val), "test": sorted(held_out.test)}
    write_text(path, json.dumps(names, indent=1))
    return held_out


def draw_splits(speakers: dict[str, str]) -> HeldOut:
    """Hold out a tenth of the speakers, at least one, for validation and as many for tests.

    The order is pseudo-random, and the same for the same names. With fewer than three speakers,
    clips are held out instead, and a warning is logged.

    Args:
        speakers: by the names of their clips.
    """
    names = set(speakers.values())
    if len(names) < 3:
        names = set(speakers)
        if len(names) < 3:
            if names:
                _log.warning("fewer than three clips: nothing is held out")
            return HeldOut(frozenset(), frozenset())
        _log.warning(
            "fewer than three speakers: clips are held out, not people, so figures will be too good"
        )
    shuffled = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    count = max(1, round(HELD_OUT * len(names)))
    return HeldOut(frozenset(shuffled[:count]), frozenset(shuffled[count : 2 * count]))
