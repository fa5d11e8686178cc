"""Log-mel, F0 and speaker embeddings of recordings and clips, each computed once and kept."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from pathlib import Path

import numpy as np

from src.command_line import progress
from src.data.dumps import Voices
from src.data.settings import Preparation
from src.data.workers import parallel_map
from src.errors import InputError
from src.io.audio import read_audio
from src.io.files import read_arrays, write_arrays
from src.speech.features import acoustic_features

AUDIO_SUFFIXES = (".flac", ".wav", ".mp3", ".m4a", ".ogg", ".opus")

_log = logging.getLogger(__name__)


def analyse(wav: np.ndarray, path: Path) -> dict[str, np.ndarray]:
    """The analysis of int16 samples (N,) as recorded; read from a file, which is written if absent.

    Returns:
        ``mel`` (T, 80), ``f0_bins`` (T,) and ``embedding_normalised`` (256,) of the samples after
        loudness normalisation, the speaker ``embedding`` (256,) before it, and ``wav_sha256``.
    """
    from thirdparty.speaker_encoder import embed_speaker

    digest = hashlib.sha256(wav.tobytes()).hexdigest()
    with contextlib.suppress(InputError):  # absent or damaged
        arrays = read_arrays(path)
        if arrays["wav_sha256"] == digest:
            return arrays
    acoustic = acoustic_features(wav)
    arrays = {
        "wav_sha256": np.array(digest),
        "mel": acoustic.mel,
        "f0_bins": acoustic.f0_bins,
        "embedding": embed_speaker(wav),
        "embedding_normalised": acoustic.embedding,
    }
    write_arrays(path, **arrays)
    return arrays


def analyse_recordings(settings: Preparation) -> None:
    """Write log-mel, F0 and embeddings of all recordings to ``<root>/dump/voices.npz``.

    Recordings that cannot be used are logged and skipped.

    Raises:
        InputError: no recording can be used.
    """
    root, folders = settings.root_dir, settings.speech
    paths = [path for folder in folders for path in sorted(folder.rglob("*"))]
    paths = [path for path in paths if path.suffix.lower() in AUDIO_SUFFIXES]
    rows = []
    analysed = parallel_map(_analyse_recording, paths, settings.jobs)
    for row in progress(analysed, len(paths), "analysing recordings"):
        if isinstance(row, str):
            _log.warning("skipped: %s", row)
        else:
            rows.append(row)
    if not rows:
        where = ", ".join(map(str, folders)) or "--speech"
        raise InputError(f"{where}: no recordings there that can be used")
    names, mels, bins, embeddings = zip(*sorted(rows, key=lambda row: row[0]), strict=True)
    voices = Voices(
        mel=np.concatenate(mels),
        f0_bins=np.concatenate(bins),
        starts=np.cumsum([0, *map(len, mels)]),
        embeddings=np.stack(embeddings),
        names=np.array(names),
        speakers=np.array([speaker_of(name) for name in names]),
    )
    write_arrays(root / "dump" / "voices.npz", **vars(voices))
    _log.info("%d recordings of %d speakers", len(names), len(set(voices.speakers.tolist())))


def _analyse_recording(path: Path) -> tuple[str, np.ndarray, np.ndarray, np.ndarray] | str:
    """Name, log-mel, F0 bins and embedding of a recording, or why it cannot be used."""
    try:
        acoustic = acoustic_features(read_audio(path))
    except (InputError, ValueError) as error:
        return f"{path}: {str(error).removeprefix(f'{path}: ')}"
    return path.stem, acoustic.mel.astype(np.float16), acoustic.f0_bins, acoustic.embedding


def speaker_of(stem: str) -> str:
    """Speaker of a recording by its file's name, up to the first ``-`` or ``_``.

    ``p225_024``, ``3005-163389-0005``; every LJSpeech file (``LJ001-0001``) is LJ's.
    """
    speaker = stem.replace("_", "-").split("-")[0]
    return "LJ" if speaker.startswith("LJ") else speaker
