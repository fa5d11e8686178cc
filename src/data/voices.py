"""Recordings of many speakers become the utterances that AutoVC trains on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from src.data.dumps import Voices
from src.io.audio import read_audio
from src.speech.features import acoustic_features

SOUND_SUFFIXES = (".flac", ".wav", ".mp3", ".m4a", ".ogg", ".opus")


def find_recordings(folder: Path) -> list[tuple[Path, str]]:
    """Sound files below ``folder`` with their speakers' names, sorted.

    A file belongs to the speaker that its name starts with (``p225_024``, ``LJ001-0001``,
    ``3005-163389-0005``: up to the first ``-`` or ``_``).
    """
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SOUND_SUFFIXES)
    return [(path, speaker_of(path.stem)) for path in files]


def speaker_of(stem: str) -> str:
    """The part of a file's name before the first ``-`` or ``_``; every LJSpeech file is LJ's."""
    speaker = stem.replace("_", "-").split("-")[0]
    return "LJ" if speaker.startswith("LJ") else speaker


def analyse_recording(
    recording: tuple[Path, str],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, str, str]:
    """Log-mel, F0 bins, embedding, name and speaker of a recording (path, speaker)."""
    path, speaker = recording
    acoustic = acoustic_features(read_audio(path))
    return acoustic.mel, acoustic.f0_bins, acoustic.embedding, path.stem, speaker


def collect(rows: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray, str, str]]) -> Voices:
    """Lay the rows of ``analyse_recording`` end to end."""
    mels, bins, embeddings, names, speakers = zip(*rows, strict=True)
    return Voices(
        mel=np.concatenate(mels).astype(np.float16),
        f0_bins=np.concatenate(bins),
        starts=np.cumsum([0, *map(len, mels)]),
        embeddings=np.stack(embeddings),
        names=np.array(names),
        speakers=np.array(speakers),
    )
