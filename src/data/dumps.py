"""The files in ``<root_dir>/dump`` that trainings read.

*Voices* (for AutoVC) are one ``.npz`` of concatenated utterances. *Landmark dumps* have the format
of the published ones: pickled lists of ``(array, (index, name, embedding))``, one file for the
audio features (``…_au.pickle``) and one for the landmarks (``…_fl.pickle``) of the same clips. A
large pickle is converted once to an array in a folder beside it (``….pickle.arrays``), which is
mapped into memory.
"""

from __future__ import annotations

import logging
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.errors import InputError
from src.io.files import atomic_write, read_array, read_arrays, write_arrays

CONTENT_DUMP = "autovc_retrain_mel"
"""Start of the names of the content branch's dumps (published release)."""

MAPPED_FROM = 64 * 2**20
"""Bytes of a pickle from which on it is mapped into memory instead of read."""

Rows = list[tuple[np.ndarray, Any]]  # (T, width) and (index, name, embedding) of each clip

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Voices:
    """Concatenated utterances; utterance ``i`` is rows ``starts[i]:starts[i + 1]``."""

    mel: np.ndarray  # (N, 80) float16 log-mel
    f0_bins: np.ndarray  # (N,) int16
    starts: np.ndarray  # (U + 1,) int64
    embeddings: np.ndarray  # (U, 256) float32, of the loudness-normalised utterance
    names: np.ndarray  # (U,) file names
    speakers: np.ndarray  # (U,) speaker ids


@dataclass(frozen=True)
class Clip:
    """One clip of a landmark dump."""

    features: np.ndarray  # (T, 80) content features (converted log-mel, not standardised)
    landmarks: np.ndarray  # (T, 204) registered, normalised
    name: str  # speaker/clip+copy
    embedding: np.ndarray  # (256,) of the speaker

    @property
    def speaker(self) -> str:
        """First part of the name; a published name stands for itself."""
        return self.name.split("/")[0]

    @property
    def stem(self) -> str:
        """Name of the recording, without speaker and copy."""
        return self.name.split("/")[-1].split("+")[0]

    @property
    def is_augmented(self) -> bool:
        """Whether it is a copy with a changed voice."""
        return "+" in self.name and not self.name.endswith("+0")


def write_voices(path: Path, voices: Voices) -> None:
    """Write utterances as plain arrays."""
    write_arrays(path, **vars(voices))


def read_voices(path: Path) -> Voices:
    """Read utterances.

    Raises:
        InputError: the file is absent or not such a dump.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such dump; main_prepare_data.py --step voices writes it")
    return Voices(**read_arrays(path, Voices.__dataclass_fields__))


def dump_paths(root: Path, split: str, name: str = CONTENT_DUMP) -> tuple[Path, Path]:
    """Paths of the audio and the landmark dump of a split (train, val or test)."""
    folder = root / "dump"
    return folder / f"{name}_{split}_au.pickle", folder / f"{name}_{split}_fl.pickle"


def write_pickle(path: Path, content: Any) -> None:
    """Pickle lists and arrays atomically, by the protocol of the published dumps."""
    with atomic_write(path) as partial, partial.open("wb") as file:
        pickle.dump(content, file, protocol=4)


def write_clips(root: Path, split: str, clips: list[Clip], name: str = CONTENT_DUMP) -> None:
    """Write clips in the published format."""
    infos = [(index, clip.name, clip.embedding) for index, clip in enumerate(clips)]
    arrays = [clip.features for clip in clips], [clip.landmarks for clip in clips]
    for path, rows in zip(dump_paths(root, split, name), arrays, strict=True):
        write_pickle(path, list(zip(rows, infos, strict=True)))


def read_clips(root: Path, split: str, name: str = CONTENT_DUMP) -> list[Clip]:
    """Read clips in the published format, without running anything that a pickle could hold.

    Raises:
        InputError: a dump is absent, holds anything but arrays and plain containers, has another
            structure, or the two dumps do not belong together.
    """
    audio_path, landmark_path = dump_paths(root, split, name)
    audio, landmarks = _read_rows(audio_path, 80), _read_rows(landmark_path, 204)
    if len(audio) != len(landmarks):
        raise InputError(f"{landmark_path}: {len(landmarks)} clips, but {len(audio)} in the audio")
    clips = []
    for (features, info), (points, _) in zip(audio, landmarks, strict=True):
        frames = min(len(features), len(points))
        if not isinstance(info, tuple | list) or len(info) != 3 or np.shape(info[2]) != (256,):
            raise InputError(f"{audio_path}: a clip without (index, name, embedding of 256)")
        _, clip_name, embedding = info
        clips.append(
            Clip(features[:frames], points[:frames], str(clip_name), np.asarray(embedding))
        )
    return clips


def read_training(root: Path, name: str) -> tuple[list[Clip], list[Clip]]:
    """Clips to train on and clips to validate on.

    The published dumps have no validation split; their test split is used instead.

    Raises:
        InputError: as ``read_clips``, or one of the two has no clips.
    """
    validation = "val"
    if not dump_paths(root, "val", name)[0].exists() and dump_paths(root, "test", name)[0].exists():
        validation = "test"
        _log.info("no dump of the split val: validating on the split test")
    both = []
    for split in ("train", validation):
        both.append(read_clips(root, split, name))
        if not both[-1]:
            raise InputError(
                f"{dump_paths(root, split, name)[0]}: no clips in it; main_prepare_data.py takes "
                "the speakers of each split from --val and --test"
            )
    return both[0], both[1]


def _read_rows(path: Path, width: int) -> Rows:
    """The pairs of a dump, whose arrays are (T, width); those of a large dump are mapped."""
    if not path.is_file() or path.stat().st_size < MAPPED_FROM:
        return _unpickle_rows(path, width)
    folder = path.with_name(f"{path.name}.arrays")
    if (rows := _map_rows(folder, path, width)) is not None:
        return rows
    rows = _unpickle_rows(path, width)
    _log.info("converting %s to %s", path.name, folder)
    try:
        _write_rows(folder, path, rows, width)
    except OSError as error:
        _log.warning("%s: cannot be converted, so kept in memory (%s)", path, error.strerror)
        return rows
    return _map_rows(folder, path, width) or rows


def _unpickle_rows(path: Path, width: int) -> Rows:
    from src.io.checkpoint import read_pickle

    rows = read_pickle(path)
    if not isinstance(rows, list):
        raise InputError(f"{path}: holds a {type(rows).__name__}, not a list of clips")
    for index, row in enumerate(rows):
        if not isinstance(row, tuple | list) or len(row) != 2:
            raise InputError(f"{path}: clip {index} is not a pair of an array and its description")
        shape = np.shape(row[0]) if isinstance(row[0], np.ndarray) else ()
        if len(shape) != 2 or shape[1] != width or not shape[0]:
            raise InputError(f"{path}: clip {index} is not an array of (frames, {width})")
    return rows


def _version(path: Path) -> list[int]:
    """Size and time of a pickle, by which its converted arrays are found to be outdated."""
    return [path.stat().st_size, path.stat().st_mtime_ns]


def _write_rows(folder: Path, path: Path, rows: Rows, width: int) -> None:
    """Convert the rows of a dump to one float32 array in a folder, which appears whole."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    partial.mkdir()
    try:
        starts = np.cumsum([0, *(len(array) for array, _ in rows)])
        shape = (int(starts[-1]), width)
        mapped = np.lib.format.open_memmap(partial / "rows.npy", "w+", np.dtype("<f4"), shape)
        for (array, _), start in zip(rows, starts[:-1], strict=True):
            mapped[start : start + len(array)] = array
        mapped.flush()
        index = {"version": _version(path), "starts": starts, "infos": [info for _, info in rows]}
        write_pickle(partial / "index.pickle", index)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _map_rows(folder: Path, path: Path, width: int) -> Rows | None:
    """The rows of a converted dump; None where it is absent, outdated or damaged."""
    from src.io.checkpoint import read_pickle

    try:
        index = read_pickle(folder / "index.pickle")
        if index["version"] != _version(path):
            return None
        starts, infos = index["starts"], index["infos"]
        shape = (int(starts[-1]), width)
        array = read_array(folder / "rows.npy", shape, mmap=True, finite=False)
        return list(zip(np.split(array, starts[1:-1]), infos, strict=True))
    except (InputError, KeyError, IndexError, TypeError, ValueError, OSError):
        return None
