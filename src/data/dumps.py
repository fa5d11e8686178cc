"""The files that trainings read, under ``<root_dir>/dump``.

Two kinds. *Voices* (AutoVC) are one ``.npz`` of utterances laid end to end. *Landmark dumps* are
the published ones: pickled lists of ``(array, (index, name, embedding))``, one file for the audio
features (``…_au.pickle``) and one for the landmarks (``…_fl.pickle``) of the same clips. A large
pickle is laid out once as an array in a folder beside it (``….pickle.arrays``), from which the
rows are mapped into memory as they are needed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.errors import InputError

MAPPED_FROM = 64 * 2**20  # bytes of a pickle that is mapped rather than read
HEADER = 2**16  # bytes of a pickle that tell it from another of its size and time

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Voices:
    """Utterances laid end to end; utterance ``i`` is rows ``starts[i]:starts[i + 1]``."""

    mel: np.ndarray  # (N, 80) float16 log-mel
    f0_bins: np.ndarray  # (N,) int16
    starts: np.ndarray  # (U + 1,) int64
    embeddings: np.ndarray  # (U, 256) float32, of the loudness-normalised utterance
    names: np.ndarray  # (U,) file names
    speakers: np.ndarray  # (U,) speaker names


@dataclass(frozen=True)
class Clip:
    """One clip of a landmark dump."""

    features: np.ndarray  # (T, 80) content features (converted log-mel, not standardised)
    landmarks: np.ndarray  # (T, 204) registered, normalised
    name: str
    embedding: np.ndarray  # (256,)


@dataclass(frozen=True)
class Spoken:
    """A sentence of synthetic speech."""

    wav: np.ndarray  # int16
    speaker: str
    phones: list[tuple[str, float, float]]  # CMU name, start and end in seconds


def replace_file(path: Path, write) -> None:
    """Call ``write(file)`` on a new binary file beside ``path``, then rename it to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            write(file)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def save_npz(path: Path, **arrays: np.ndarray) -> None:
    """Write an ``.npz`` beside ``path`` and rename it."""
    replace_file(path, lambda file: np.savez(file, **arrays))


def write_voices(path: Path, voices: Voices) -> None:
    """Write the utterances; the file holds plain arrays only."""
    save_npz(path, **vars(voices))


def read_voices(path: Path) -> Voices:
    """Raises InputError where the file is missing or is not such a dump."""
    if not path.is_file():
        raise InputError(f"{path}: no such dump; main_prepare_data.py --step voices makes it")
    try:
        with np.load(path, allow_pickle=False) as data:
            return Voices(**{key: data[key] for key in Voices.__dataclass_fields__})
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"{path}: not a dump of voices ({error})") from None


def dump_paths(root: Path, split: str, name: str = "autovc_retrain_mel") -> tuple[Path, Path]:
    """Paths of the audio and the landmark dump of a split (train, val or test)."""
    folder = root / "dump"
    return folder / f"{name}_{split}_au.pickle", folder / f"{name}_{split}_fl.pickle"


def write_clips(
    root: Path, split: str, clips: list[Clip], name: str = "autovc_retrain_mel"
) -> None:
    """Write clips in the published format."""
    audio_path, landmark_path = dump_paths(root, split, name)
    info = [(i, clip.name, clip.embedding) for i, clip in enumerate(clips)]
    audio = [(clip.features, row) for clip, row in zip(clips, info, strict=True)]
    landmarks = [(clip.landmarks, row) for clip, row in zip(clips, info, strict=True)]
    replace_file(audio_path, lambda file: pickle.dump(audio, file, protocol=4))
    replace_file(landmark_path, lambda file: pickle.dump(landmarks, file, protocol=4))


def read_clips(root: Path, split: str, name: str = "autovc_retrain_mel") -> list[Clip]:
    """Read clips in the published format, without running anything that a pickle could hold.

    Raises:
        InputError: a dump is missing, holds anything but arrays and plain containers, has
            another structure, or the two dumps do not belong together.
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


def _read_rows(path: Path, width: int) -> list[tuple[np.ndarray, object]]:
    """The pairs of a dump, whose arrays are (T, width); those of a large dump are on the disk."""
    if not path.is_file() or path.stat().st_size < MAPPED_FROM:
        return _unpickled_rows(path, width)
    folder = path.with_name(f"{path.name}.arrays")
    key = _key(path)
    if not _holds(folder, key):
        rows = _unpickled_rows(path, width)
        _log.info("%s is laid out in %s", path.name, folder)
        try:
            _lay_out(folder, key, rows, width)
        except OSError as error:
            _log.warning("%s: not laid out, so held in memory (%s)", path, error.strerror)
            return rows
    return _mapped_rows(folder, width)


def _unpickled_rows(path: Path, width: int) -> list[tuple[np.ndarray, object]]:
    from src.io.checkpoint import read_pickle

    rows = read_pickle(path)
    if not isinstance(rows, list):
        raise InputError(f"{path}: holds a {type(rows).__name__}, not a list of clips")
    for index, row in enumerate(rows):
        if not isinstance(row, tuple | list) or len(row) != 2:
            raise InputError(f"{path}: clip {index} is not a pair of an array and what it is of")
        shape = np.shape(row[0]) if isinstance(row[0], np.ndarray) else ()
        if len(shape) != 2 or shape[1] != width or not shape[0]:
            raise InputError(f"{path}: clip {index} is no array of (frames, {width})")
    return rows


def _key(path: Path) -> dict[str, object]:
    """What tells a pickle from any other that was in its place."""
    known = path.stat()
    with path.open("rb") as file:
        header = hashlib.sha256(file.read(HEADER)).hexdigest()
    return {"size": known.st_size, "time": known.st_mtime_ns, "header": header}


def _holds(folder: Path, key: dict[str, object]) -> bool:
    try:
        return json.loads((folder / "key.json").read_text()) == key
    except (OSError, ValueError):
        return False


def _lay_out(
    folder: Path, key: dict[str, object], rows: list[tuple[np.ndarray, object]], width: int
) -> None:
    """Write the rows of a dump as one float32 array into a folder, which appears whole."""
    for left_over in folder.parent.glob(f".{folder.name}.*.part"):  # by a run that was killed
        shutil.rmtree(left_over, ignore_errors=True)
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    beside.mkdir()
    try:
        starts = np.cumsum([0, *(len(array) for array, _ in rows)])
        header = {"descr": "<f4", "fortran_order": False, "shape": (int(starts[-1]), width)}
        with (beside / "rows.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for array, _ in rows:
                file.write(np.ascontiguousarray(array, "<f4").data)
        np.save(beside / "starts.npy", starts)
        (beside / "info.pickle").write_bytes(pickle.dumps([info for _, info in rows], protocol=4))
        (beside / "key.json").write_text(json.dumps(key))
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _mapped_rows(folder: Path, width: int) -> list[tuple[np.ndarray, object]]:
    from src.io.checkpoint import read_pickle

    try:
        array = np.asarray(np.load(folder / "rows.npy", mmap_mode="r"))
        starts = np.load(folder / "starts.npy")
        pieces = [array[a:b] for a, b in zip(starts[:-1], starts[1:], strict=True)]
        whole = array.shape == (starts[-1], width) and array.dtype == np.float32
        if not whole or not all(len(piece) for piece in pieces):
            raise ValueError("its parts do not belong together")
        return list(zip(pieces, read_pickle(folder / "info.pickle"), strict=True))
    except (OSError, ValueError, IndexError, TypeError) as error:
        raise InputError(f"{folder}: damaged, delete it ({error})") from None


def read_training(root: Path, name: str) -> tuple[list[Clip], list[Clip]]:
    """Clips to train on and clips to validate on.

    The published dumps have no split for validation; theirs for tests stands in.

    Raises:
        InputError: as ``read_clips``, or one of the two has no clips.
    """
    held_out = "val"
    if not dump_paths(root, "val", name)[0].exists() and dump_paths(root, "test", name)[0].exists():
        held_out = "test"
        _log.info("no dump of the split val: validation is on the split test")
    both = []
    for split in ("train", held_out):
        both.append(read_clips(root, split, name))
        if not both[-1]:
            raise InputError(
                f"{dump_paths(root, split, name)[0]}: no clips in it; main_prepare_data.py takes "
                "the speakers of each split from --val and --test"
            )
    return both[0], both[1]


def read_spoken(path: Path) -> Spoken:
    """A file of ``<root_dir>/synthetic``.

    Raises:
        InputError: it is not one.
    """
    try:
        with np.load(path) as data:
            phones = [
                (str(name), *map(float, span))
                for name, span in zip(data["phones"], data["times"], strict=True)
            ]
            return Spoken(data["wav"], str(data["speaker"]), phones)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a file of synthetic speech ({error})") from None


def read_phones(root: Path) -> dict[str, list[tuple[str, float, float]]]:
    """Phone, start and end in seconds, of the synthetic speech under ``root``, by clip name."""
    paths = sorted((root / "synthetic").glob("*.npz"))
    return {path.stem: read_spoken(path).phones for path in paths}
