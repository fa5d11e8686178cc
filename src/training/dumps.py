"""The files that trainings read, under ``<root_dir>/dump``.

Two kinds. *Voices* (AutoVC) are one ``.npz`` of utterances laid end to end. *Landmark dumps* are
the published ones: pickled lists of ``(array, (index, name, embedding))``, one file for the audio
features (``…_au.pickle``) and one for the landmarks (``…_fl.pickle``) of the same clips.
"""

from __future__ import annotations

import logging
import os
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.errors import InputError

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
    """The pairs of a dump, whose arrays are (T, width)."""
    from src.checkpoints import read_pickle

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
