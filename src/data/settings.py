"""Options of the data preparation, ``main_prepare_data.py``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from src.errors import InputError
from src.face import detectors
from src.options import option

STEPS = ("all", "voices", "synthetic", "clips", "faces", "content", "speaker", "pictures")


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Settings of the data preparation; see the description of the script."""

    root_dir: Path = option(help="folder for clips/, dump/ and so on")
    step: str = option("all", "step to run", choices=STEPS)
    videos: tuple[Path, ...] = option((), "folders of videos")
    speech: tuple[Path, ...] = option((), "folders of recordings (step voices)")
    stills: tuple[Path, ...] = option((), "folders of still faces (step pictures)")
    synthetic: dict[str, float] = option(
        {}, "voice=minutes; voices of flite, or espeak", metavar="VOICE=MINUTES"
    )
    text: Path | None = option(None, "sentences to synthesise first, one per line")
    val: tuple[str, ...] = option((), "speakers and synthetic voices for validation")
    test: tuple[str, ...] = option((), "speakers and synthetic voices for tests")
    landmark_detector: str = option(
        "mediapipe",
        "fan downloads its weights on first use; auto: fan if they are on the disk",
        choices=detectors.CHOICES,
    )
    load_autovc: Path | None = option(
        None, "AutoVC trained on the voices of step voices", name="load_AUTOVC_name"
    )
    plain_mel: bool = option(False, "dump each speaker's own log-mel, without AutoVC")
    target_voice: str = option("LJ", "speaker whom that AutoVC converts all voices to")
    dump_file_name: str | None = option(
        None, "start of the dump's name (steps content, speaker and pictures)"
    )
    changed_copies: int = option(
        1, "augmented copies of the content branch's training clips", least=0, most=100
    )
    jobs: int = option(os.cpu_count() or 1, "parallel processes; default: one per core", least=1)
    shard: str = option("1/1", "process part I of N of the clips only", metavar="I/N")

    def __post_init__(self) -> None:
        index, _, count = self.shard.partition("/")
        numbers = index.isdecimal() and count.isdecimal()
        if not (numbers and 1 <= int(index) <= int(count)):
            raise InputError(f"--shard: {self.shard!r} is not I/N with I from 1 to N")
        if int(count) > 1 and self.step not in ("all", "clips"):
            raise InputError(f"--shard: step {self.step} works on all clips together")
        for folder in (*self.speech, *self.videos, *self.stills):
            if not folder.is_dir():
                raise InputError(f"{folder}: no such folder")

    @property
    def part(self) -> slice:
        """Slice of the clips to process; its step is 1 where all are processed."""
        index, count = map(int, self.shard.split("/"))
        return slice(index - 1, None, count)
