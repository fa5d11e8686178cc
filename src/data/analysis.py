"""What is heard in sounds: log-mel, F0 and embeddings, kept while a sound stays the same."""

from __future__ import annotations

import hashlib
import logging
import zipfile
from pathlib import Path

import numpy as np

from src.command_line import progress
from src.data import dumps, voices
from src.data.workers import in_parallel
from src.errors import InputError
from src.speech.features import acoustic_features

_log = logging.getLogger(__name__)


def analyse_voices(folders: list[Path], root: Path, processes: int) -> None:
    """Log-mel, F0 and embeddings of all recordings into ``<root>/dump/voices.npz``.

    Recordings that cannot be used are named and passed over.

    Raises:
        InputError: no recording can be used.
    """
    recordings = [row for folder in folders for row in voices.find_recordings(folder)]
    if not recordings:
        raise InputError(f"{', '.join(map(str, folders)) or '--speech'}: no recordings there")
    rows = []
    found = in_parallel(_analyse_recording, recordings, processes)
    for row in progress(found, len(recordings), "recordings to analyse"):
        if isinstance(row, str):
            _log.warning("passed over: %s", row)
        else:
            rows.append(row)
    if not rows:
        raise InputError(f"{', '.join(map(str, folders))}: no recording there can be used")
    rows.sort(key=lambda row: row[3])
    dumps.write_voices(root / "dump" / "voices.npz", voices.collect(rows))
    _log.info("%d recordings of %d speakers", len(rows), len({row[4] for row in rows}))


def _analyse_recording(recording: tuple[Path, str]) -> tuple | str:
    """The row of a recording, or what is wrong with it."""
    try:
        return voices.analyse_recording(recording)
    except (InputError, ValueError) as error:
        reason = " ".join(str(error).splitlines())
        return reason if isinstance(error, InputError) else f"{recording[0]}: {reason}"


def analyse_synthetic(root: Path, processes: int) -> None:
    """Log-mel, F0 and embeddings of all of ``<root>/synthetic`` into ``<root>/analysed``.

    Finished ones are kept as long as they sound the same.
    """
    spoken = sorted((root / "synthetic").glob("*.npz"))
    jobs = [(path, root / "analysed" / path.name) for path in spoken]
    done = in_parallel(_analyse_spoken, jobs, processes)
    for _ in progress(done, len(spoken), "synthetic speech to analyse"):
        pass


def _analyse_spoken(job: tuple[Path, Path]) -> None:
    path, target = job
    wav = dumps.read_spoken(path).wav
    if not is_of(target, wav):
        analyse_sound(wav, target)


def is_of(analysed: Path, wav: np.ndarray) -> bool:
    """Whether a file of ``<root>/analysed`` was made from these samples."""
    try:
        with np.load(analysed) as data:
            return str(data["wav_sha256"]) == _digest(wav)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # absent, old or broken
        return False


def analyse_sound(wav: np.ndarray, target: Path) -> None:
    """Write what is heard in int16 samples (N,): ``mel``, ``f0_bins`` and both embeddings."""
    from thirdparty.speaker_encoder import embed_speaker

    acoustic = acoustic_features(wav)
    dumps.save_npz(
        target,
        wav_sha256=np.array(_digest(wav)),
        mel=acoustic.mel,
        f0_bins=acoustic.f0_bins,
        embedding=embed_speaker(wav),
        embedding_normalised=acoustic.embedding,
    )


def _digest(wav: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(wav).tobytes()).hexdigest()
