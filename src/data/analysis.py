"""Log-mel, F0 and speaker embeddings of recordings and clips, each computed once and kept."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np

from src.command_line import progress
from src.data.dumps import Voices, write_voices
from src.data.synthesis import read_utterance, utterance_paths
from src.data.workers import parallel_map
from src.errors import InputError
from src.io.audio import read_audio
from src.io.files import read_arrays, write_arrays
from src.speech.features import acoustic_features

AUDIO_SUFFIXES = (".flac", ".wav", ".mp3", ".m4a", ".ogg", ".opus")

_log = logging.getLogger(__name__)


def speaker_of(stem: str) -> str:
    """Speaker of a recording by its file's name, up to the first ``-`` or ``_``.

    ``p225_024``, ``3005-163389-0005``; every LJSpeech file (``LJ001-0001``) is LJ's.
    """
    speaker = stem.replace("_", "-").split("-")[0]
    return "LJ" if speaker.startswith("LJ") else speaker


def analyse_recordings(folders: list[Path], root: Path, processes: int) -> None:
    """Write log-mel, F0 and embeddings of all recordings to ``<root>/dump/voices.npz``.

    Recordings that cannot be used are logged and skipped.

    Raises:
        InputError: no recording can be used.
    """
    where = ", ".join(map(str, folders)) or "--speech"
    paths = [path for folder in folders for path in sorted(folder.rglob("*"))]
    paths = [path for path in paths if path.suffix.lower() in AUDIO_SUFFIXES]
    if not paths:
        raise InputError(f"{where}: no recordings there")
    rows = []
    analysed = parallel_map(_analyse_recording, paths, processes)
    for row in progress(analysed, len(paths), "analysing recordings"):
        if isinstance(row, str):
            _log.warning("skipped: %s", row)
        else:
            rows.append(row)
    if not rows:
        raise InputError(f"{where}: no recording there can be used")
    mels, bins, embeddings, names = zip(*sorted(rows, key=lambda row: row[3]), strict=True)
    voices = Voices(
        mel=np.concatenate(mels).astype(np.float16),
        f0_bins=np.concatenate(bins),
        starts=np.cumsum([0, *map(len, mels)]),
        embeddings=np.stack(embeddings),
        names=np.array(names),
        speakers=np.array([speaker_of(name) for name in names]),
    )
    write_voices(root / "dump" / "voices.npz", voices)
    _log.info("%d recordings of %d speakers", len(names), len(set(voices.speakers.tolist())))


def _analyse_recording(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, str] | str:
    """Log-mel, F0 bins, embedding and name of a recording, or why it cannot be used."""
    try:
        acoustic = acoustic_features(read_audio(path))
        return acoustic.mel, acoustic.f0_bins, acoustic.embedding, path.stem
    except (InputError, ValueError) as error:
        reason = " ".join(str(error).splitlines())
        return reason if isinstance(error, InputError) else f"{path}: {reason}"


def analyse_synthetic(root: Path, processes: int) -> None:
    """Analyse all of ``<root>/synthetic`` into ``<root>/analysed``, except what exists there."""
    paths = utterance_paths(root)
    analysed = parallel_map(_analyse_synthetic, paths, processes)
    for _ in progress(analysed, len(paths), "analysing synthetic speech"):
        pass


def _analyse_synthetic(path: Path) -> None:
    analyse_audio(read_utterance(path).wav, path.parents[1] / "analysed" / path.name)


def analyse_audio(wav: np.ndarray, target: Path) -> bool:
    """Write the analysis of int16 samples (N,) as recorded; False if it is there already.

    The file has ``mel`` (T, 80) and ``f0_bins`` (T,) of the loudness-normalised samples, and the
    speaker embeddings (256,) of both.
    """
    from thirdparty.speaker_encoder import embed_speaker

    if is_analysis_of(target, wav):
        return False
    acoustic = acoustic_features(wav)
    write_arrays(
        target,
        wav_sha256=np.array(_digest(wav)),
        mel=acoustic.mel,
        f0_bins=acoustic.f0_bins,
        embedding=embed_speaker(wav),
        embedding_normalised=acoustic.embedding,
    )
    return True


def is_analysis_of(path: Path, wav: np.ndarray) -> bool:
    """Whether a file of ``<root>/analysed`` exists and was made from these samples."""
    try:
        return str(read_arrays(path, ["wav_sha256"])["wav_sha256"]) == _digest(wav)
    except InputError:  # absent or damaged
        return False


def _digest(wav: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(wav).tobytes()).hexdigest()
