"""Packed faces of clips and stills: what the training of image translation reads.

A shard is ``<root_dir>/dump/<name>_<split>_<number>.npz``: JPEGs laid end to end, with the
landmarks of each. A picture shows the square that a portrait's face is cut out to
(`src.face.crop`) and some more round it, so that a head may move and the square may be shifted.
All pictures of a clip are cut at one place: between them only the face moves.
"""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from src.data.dumps import save_npz
from src.errors import InputError
from src.face.crop import CROP_SIZE
from src.face.topology import LANDMARK_COUNT

MARGIN = CROP_SIZE // 8
"""Pixels round the square that are packed too."""
PACKED_SIZE = CROP_SIZE + 2 * MARGIN
"""Side of a packed picture in pixels."""

SHARD_BYTES = 12 * 2**20
STILLS = "still"  # speaker's name of faces that come alone


@dataclass(frozen=True)
class Pictures:
    """Packed faces; those of clip ``i`` are ``starts[i]:starts[i + 1]``."""

    jpegs: list[np.ndarray]  # uint8 each, PACKED_SIZE x PACKED_SIZE when decoded
    landmarks: np.ndarray  # (N, 68, 3) float32 in pixels of the packed picture
    starts: np.ndarray  # (C + 1,) int64
    names: list[str]  # (C,) of the clips
    speakers: list[str]  # (C,) STILLS for faces that come alone

    def decode(self, index: int) -> np.ndarray:
        """Picture (PACKED_SIZE, PACKED_SIZE, 3) uint8 BGR."""
        return cv2.imdecode(self.jpegs[index], cv2.IMREAD_COLOR)


@dataclass(frozen=True)
class PackedClip:
    """Some frames of a clip, or one still."""

    name: str
    speaker: str
    jpegs: list[np.ndarray]
    landmarks: np.ndarray  # (n, 68, 3)


def shard_paths(root: Path, split: str, name: str) -> list[Path]:
    """The shards of a split that are there, in order."""
    return sorted((root / "dump").glob(f"{name}_{split}_[0-9][0-9][0-9].npz"))


def write_shards(root: Path, split: str, name: str, clips: Iterable[PackedClip]) -> int:
    """Write clips as shards in place of those that are there; returns their bytes together."""
    before = shard_paths(root, split, name)
    written, waiting, size, total = [], [], 0, 0

    def flush() -> None:
        nonlocal waiting, size, total
        path = root / "dump" / f"{name}_{split}_{len(written):03d}.npz"
        _write_shard(path, waiting)
        written.append(path)
        total += path.stat().st_size
        waiting, size = [], 0

    for clip in clips:
        waiting.append(clip)
        size += sum(len(jpeg) for jpeg in clip.jpegs)
        if size >= SHARD_BYTES:
            flush()
    if waiting:
        flush()
    for path in set(before) - set(written):
        path.unlink()
    return total


def _write_shard(path: Path, clips: list[PackedClip]) -> None:
    jpegs = [jpeg for clip in clips for jpeg in clip.jpegs]
    save_npz(
        path,
        jpeg=np.concatenate(jpegs),
        jpeg_starts=np.cumsum([0, *map(len, jpegs)]),
        landmarks=np.concatenate([clip.landmarks for clip in clips]).astype(np.float32),
        starts=np.cumsum([0, *(len(clip.jpegs) for clip in clips)]),
        names=np.array([clip.name for clip in clips]),
        speakers=np.array([clip.speaker for clip in clips]),
    )


def read_shards(root: Path, split: str, name: str) -> Pictures:
    """All pictures of a split.

    Raises:
        InputError: there are none, or a file is not such a shard.
    """
    paths = shard_paths(root, split, name)
    if not paths:
        raise InputError(
            f"{root / 'dump'}: no {name}_{split}_*.npz; main_prepare_data.py --step pictures makes "
            "them"
        )
    parts = [part for path in paths for part in _read_shard(path)]
    counts = [len(part.jpegs) for part in parts]
    return Pictures(
        [jpeg for part in parts for jpeg in part.jpegs],
        np.concatenate([part.landmarks for part in parts]),
        np.cumsum([0, *counts]),
        [part.name for part in parts],
        [part.speaker for part in parts],
    )


def _read_shard(path: Path) -> Iterator[PackedClip]:
    try:
        with np.load(path, allow_pickle=False) as data:
            shard = {key: data[key] for key in data.files}
        jpegs = np.split(shard["jpeg"], shard["jpeg_starts"][1:-1])
        landmarks, starts = shard["landmarks"], shard["starts"]
        if landmarks.shape != (len(jpegs), LANDMARK_COUNT, 3) or starts[-1] != len(jpegs):
            raise ValueError("landmarks and pictures do not go together")
        names, speakers = shard["names"].tolist(), shard["speakers"].tolist()
        for clip, (start, end) in enumerate(itertools.pairwise(starts)):
            inside = slice(start, end)
            yield PackedClip(names[clip], speakers[clip], jpegs[inside], landmarks[inside])
    except (ValueError, KeyError, IndexError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a shard of packed pictures ({error})") from None
