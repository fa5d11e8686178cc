"""Settings of the evaluations, from which main_evaluate.py makes its options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from src.options import option


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """Data to evaluate on."""

    root: Path = option(help="folder that main_prepare_data.py has filled", name="root_dir")
    max_sentences: int = option(
        30, "sentences of a synthetic voice", name="most_synthetic", least=1
    )
    splits: tuple[str, ...] = option(
        ("test",), "landmarks: one split or both together", name="split", choices=("test", "val")
    )
    lip_dump: str = option("autovc_retrain_mel", "landmarks: of lips", name="dump_file_name")
    head_dump: str = option("speaker_aware", "landmarks: of heads", name="head_dump_file_name")
    videos: tuple[Path, ...] = option((), "folders of the clips' videos")
    speakers: tuple[str, ...] | None = option(
        None, "of the clips (all of ROOT's split test; none where no name follows)"
    )
    voices: tuple[str, ...] | None = option(
        None, "videos: synthetic voices (all of ROOT's split test; none where no name follows)"
    )
    portrait: Path | None = option(
        None, "videos: portrait of the voices (examples/grace_hopper.jpg)", metavar="FILE"
    )
    ceiling: bool = option(False, "videos: also render the ground truth's motion")
    fresh: bool = option(False, "videos: render again what is there already")
    every: int = option(9, "images: frames from one run of three to the next", least=1)
