"""Decoding of audio files to 16 kHz mono samples.

This module owns the clock of the whole method: audio is sampled at ``SAMPLE_RATE``, one audio
frame is ``HOP_LENGTH`` samples, and predicted landmarks have ``FRAME_RATE`` frames a second.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from src.errors import InputError
from src.io.files import first_bytes
from src.io.find_ffmpeg import QUIET, ffmpeg_path, last_line

SAMPLE_RATE = 16000  # Hz (published release, as in AutoVC)
HOP_LENGTH = 256  # samples between audio frames (published release, as in AutoVC)
FRAME_RATE = SAMPLE_RATE / HOP_LENGTH  # audio frames, and so landmark frames, a second
FULL_SCALE = 32768  # |int16| at 0 dBFS


AudioSource = str | Path | tuple[np.ndarray, int]
"""A file with audio, or samples (N,) or (N, channels), integers or floats in ±1, and their rate."""


@contextlib.contextmanager
def audio_file(source: AudioSource) -> Iterator[Path]:
    """Yield the path of an audio source; samples are written to a temporary WAV file."""
    if not isinstance(source, tuple):
        yield Path(source)
        return
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.wav"
        soundfile.write(path, *source, subtype="FLOAT" if source[0].dtype.kind == "f" else None)
        yield path


def read_audio(path: str | Path) -> np.ndarray:
    """Decode any audio file, or the audio of any video, that ffmpeg reads.

    Returns:
        int16 (N,), mono, at `SAMPLE_RATE`.

    Raises:
        InputError: the file is missing, empty, not audio, has no audio stream, no samples, or
            samples that are not finite.
    """
    if first_bytes(path) in (b"RIFF", b"RIFX", b"RF64"):
        _refuse_nan(path)
    # The "file:" prefix keeps ffmpeg from reading a name as an option or a protocol.
    command = [ffmpeg_path(), *QUIET, "-i", f"file:{path}", "-map", "0:a:0", "-f", "s16le"]
    command += ["-acodec", "pcm_s16le", "-ac", "1", "-ar", str(SAMPLE_RATE), "pipe:"]
    # In a session of its own, because on Ctrl-C ffmpeg would report audio that cannot be read.
    result = subprocess.run(command, capture_output=True, start_new_session=True)
    if result.returncode != 0:
        raise InputError(f"{path}: {_reason(result.stderr)}")
    wav = np.frombuffer(result.stdout, np.int16)
    if wav.size == 0:
        raise InputError(f"{path}: the audio has no samples")
    return wav


def _reason(stderr: bytes) -> str:
    """Plain sentence for the two usual errors of ffmpeg, its own last line for the rest."""
    if b"matches no streams" in stderr or b"does not contain any stream" in stderr:
        return "the file has no audio stream"
    if b"Invalid data found" in stderr or b"moov atom not found" in stderr:
        return "not an audio file that ffmpeg can read (damaged, truncated or of another kind)"
    return f"ffmpeg cannot read the audio: {last_line(stderr)}"


def _refuse_nan(path: str | Path) -> None:
    """Refuse NaN in floating-point WAV files, which ffmpeg silently turns into noise."""
    import soundfile

    # ffmpeg reads more kinds of WAV, and gives the reason for the rest.
    with contextlib.suppress(soundfile.LibsndfileError), soundfile.SoundFile(str(path)) as file:
        if file.subtype in ("FLOAT", "DOUBLE"):
            for block in file.blocks(blocksize=SAMPLE_RATE * 60, dtype="float32"):
                if not np.isfinite(block).all():
                    raise InputError(f"{path}: the audio has samples that are not finite (NaN)")
