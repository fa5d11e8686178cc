"""Settings of the evaluations, from which main_evaluate.py makes its options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from src.options import option

MAX_SENTENCES = 30
"""Sentences of each synthetic voice that are evaluated."""


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """What to evaluate, on which data."""

    root: Path = option(help="folder that main_prepare_data.py has filled", name="root_dir")
    measure: str | None = option(
        None,
        "what to evaluate (videos with --videos, else landmarks)",
        choices=("landmarks", "videos", "images"),
    )
    out_dir: Path | None = option(None, "folder of the report (see above)")
    names: tuple[str, ...] = option((), "trainings under ROOT/ckpt", name="name")
    splits: tuple[str, ...] = option(
        ("test",), "landmarks: one split or both together", name="split", choices=("test", "val")
    )
    lip_dump: str = option(
        "autovc_retrain_mel", "landmarks: content branch's dump", name="dump_file_name"
    )
    head_dump: str = option(
        "speaker_aware", "landmarks: speaker-aware one's", name="head_dump_file_name"
    )
    videos: tuple[Path, ...] = option((), "folders of the clips' videos")
    speakers: tuple[str, ...] | None = option(
        None, "speakers of the clips (ROOT's split test; none where no name follows)"
    )
    voices: tuple[str, ...] | None = option(
        None, "videos: synthetic voices (ROOT's split test; none where no name follows)"
    )
    ceiling: bool = option(False, "videos: also render the ground truth's motion")
    every: int = option(9, "images: frames from one run of three to the next", least=1)
    threads: int = option(0, "CPU threads, 0 for all", least=0, most=1024)
