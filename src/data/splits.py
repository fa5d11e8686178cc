"""Who is trained on, and who is kept for validation and for tests.

Whole speakers are held out, so that no figure is of a face or a voice that was trained on. What
was decided is kept in ``<root_dir>/splits.json`` and holds for all steps after.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from src.data.dumps import replace_file
from src.errors import InputError

SPLITS = ("train", "val", "test")
HELD_OUT_SHARE = 0.1  # of the speakers, for each of val and test

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeldOut:
    """Speakers and synthetic voices, or single clips, that are never trained on."""

    val: frozenset[str]
    test: frozenset[str]

    def split_of(self, speaker: str, clip: str = "") -> str:
        """train, val or test."""
        names = {speaker, clip}
        return "test" if names & self.test else "val" if names & self.val else "train"


def decide(
    root: Path, val: list[str], test: list[str], speakers: Callable[[], dict[str, str]]
) -> HeldOut:
    """The splits: as given, else as decided before, else drawn; the file is written.

    Args:
        val: speakers that are named for validation.
        test: speakers that are named for tests.
        speakers: gives those who may be drawn, by the clips' names.

    Raises:
        InputError: a name is in both, or the file is none of ours.
    """
    path = root / "splits.json"
    if val or test:
        if both := sorted(set(val) & set(test)):
            raise InputError(f"--val and --test: {', '.join(both)} cannot be in both")
        held_out = HeldOut(frozenset(val), frozenset(test))
    elif path.is_file():
        return _read(path)
    else:
        held_out = draw(speakers())
        if not held_out.test:
            return held_out  # more clips may come
    text = json.dumps({"val": sorted(held_out.val), "test": sorted(held_out.test)}, indent=1)
    replace_file(path, lambda file: file.write(text.encode()))
    return held_out


def _read(path: Path) -> HeldOut:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return HeldOut(frozenset(known["val"]), frozenset(known["test"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{path}: not the splits of main_prepare_data.py; delete it") from None


def draw(speakers: dict[str, str]) -> HeldOut:
    """Hold a tenth of the speakers out for each purpose, at least one; always the same ones.

    With fewer than three speakers clips are held out instead, and a warning says so.

    Args:
        speakers: by the clips' names.
    """
    names = set(speakers.values())
    if len(names) < 3:
        names = set(speakers)
        if len(names) < 3:
            if names:
                _log.warning("fewer than three clips: nothing is held out")
            return HeldOut(frozenset(), frozenset())
        _log.warning(
            "fewer than three speakers: clips are held out, not people, so figures will flatter"
        )
    shuffled = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    count = max(1, round(HELD_OUT_SHARE * len(names)))
    return HeldOut(frozenset(shuffled[:count]), frozenset(shuffled[count : 2 * count]))
