"""The files in ``<root_dir>/dump`` that trainings read.

*Voices* (for AutoVC) are one ``.npz`` of concatenated utterances. *Landmark dumps* have the format
of the published ones: pickled lists of ``(array, (index, name, embedding))``, one file for the
audio features (``…_au.pickle``) and one for the landmarks (``…_fl.pickle``) of the same clips. A
large dump is converted once to ``.npy`` files of the same names, which are mapped into memory.
"""

from __future__ import annotations

import logging
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from src.errors import InputError
from src.io.checkpoint import read_pickle
from src.io.files import atomic_write, read_array, read_arrays, write_arrays

CONTENT_DUMP = "autovc_retrain_mel"
"""Start of the names of the content branch's dumps (published release)."""

MAPPED_FROM = 64 * 2**20
"""Bytes of a dump's pickles from which on it is mapped into memory instead of read."""

WIDTHS = (80, 204)  # of the arrays in the audio and in the landmark dump

Arrays = TypeVar("Arrays")
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


def read_output(path: Path, kind: type[Arrays], step: str) -> Arrays:
    """Read a dataclass of arrays, such as `Voices`, that a step of the preparation wrote.

    Raises:
        InputError: the file is absent or not such a dump.
    """
    if not path.is_file():
        raise InputError(f"{path}: absent; main_prepare_data.py --step {step} writes it")
    return kind(**read_arrays(path, kind.__dataclass_fields__))


def read_voices(root: Path) -> Voices:
    """Read the voices for AutoVC; errors as for `read_output`."""
    return read_output(root / "dump" / "voices.npz", Voices, "voices")


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
    paths = dump_paths(root, split, name)
    if sum(path.stat().st_size for path in paths if path.is_file()) < MAPPED_FROM:
        return _unpickle_clips(paths)
    try:
        return _map_clips(paths)
    except InputError:  # absent, outdated or damaged
        clips = _unpickle_clips(paths)
    _log.info("converting %s and %s to .npy", *(path.name for path in paths))
    try:
        _write_mapped(paths, clips)
    except InputError as error:
        _log.warning("%s; the dump is kept in memory", error)
        return clips
    return _map_clips(paths)


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
    clips = {split: read_clips(root, split, name) for split in ("train", validation)}
    for split, found in clips.items():
        if not found:
            raise InputError(
                f"{dump_paths(root, split, name)[0]}: no clips in it; main_prepare_data.py takes "
                "the speakers of each split from --val and --test"
            )
    return clips["train"], clips[validation]


def _unpickle_clips(paths: tuple[Path, Path]) -> list[Clip]:
    audio, landmarks = map(_unpickle_rows, paths, WIDTHS)
    if len(audio) != len(landmarks):
        raise InputError(f"{paths[1]}: {len(landmarks)} clips, but {len(audio)} in the audio")
    clips = []
    for (features, info), (points, _) in zip(audio, landmarks, strict=True):
        frames = min(len(features), len(points))
        if not isinstance(info, tuple | list) or len(info) != 3 or np.shape(info[2]) != (256,):
            raise InputError(f"{paths[0]}: a clip without (index, name, embedding of 256)")
        clips.append(Clip(features[:frames], points[:frames], str(info[1]), np.asarray(info[2])))
    return clips


def _unpickle_rows(path: Path, width: int) -> list[tuple[np.ndarray, Any]]:
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


def _write_mapped(paths: tuple[Path, Path], clips: list[Clip]) -> None:
    """Write features and landmarks as one float32 array each, then the index of both."""
    arrays = [clip.features for clip in clips], [clip.landmarks for clip in clips]
    starts = np.cumsum([0, *map(len, arrays[0])])
    for path, rows, width in zip(paths, arrays, WIDTHS, strict=True):
        header = {"descr": "<f4", "fortran_order": False, "shape": (int(starts[-1]), width)}
        with atomic_write(path.with_suffix(".npy")) as partial, partial.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for row in rows:  # one by one, as a copy of the whole dump could fill the memory
                file.write(np.ascontiguousarray(row, "<f4").data)
    write_arrays(
        paths[0].with_suffix(".npz"),
        version=_version(paths),
        starts=starts,
        names=np.array([clip.name for clip in clips]),
        embeddings=np.stack([clip.embedding for clip in clips]),
    )


def _map_clips(paths: tuple[Path, Path]) -> list[Clip]:
    """The clips of a converted dump.

    Raises:
        InputError: its files are absent, outdated or damaged.
    """
    index = read_arrays(paths[0].with_suffix(".npz"))
    if not np.array_equal(index["version"], _version(paths)):
        raise InputError(f"{paths[0]}: was converted from another dump")
    starts, arrays = index["starts"], []
    for path, width in zip(paths, WIDTHS, strict=True):
        shape = (int(starts[-1]), width)
        array = read_array(path.with_suffix(".npy"), shape, mmap=True)
        arrays.append(np.split(array, starts[1:-1]))
    rows = zip(*arrays, index["names"].tolist(), index["embeddings"], strict=True)
    return [Clip(*row) for row in rows]


def _version(paths: tuple[Path, Path]) -> np.ndarray:
    """Sizes and times of the pickles, by which converted arrays are found to be outdated."""
    stats = [path.stat() for path in paths if path.is_file()]
    return np.array([[stat.st_size, stat.st_mtime_ns] for stat in stats])
