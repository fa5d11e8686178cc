"""Decoding of audio files to 16 kHz mono samples.

This module owns the clock of the whole method: audio is sampled at ``SAMPLE_RATE``, one audio
frame is ``HOP_LENGTH`` samples, and predicted landmarks have ``FRAME_RATE`` frames a second.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from src.errors import InputError
from src.io.ffmpeg import ffmpeg_path, last_line

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


def read_audio(path: str | Path, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Decode any audio file, or the audio of any video, that ffmpeg reads.

    Returns:
        int16 (N,), mono, at ``sample_rate``.

    Raises:
        InputError: the file is missing, empty, not audio, has no audio stream, no samples, or
            samples that are not finite.
    """
    import ffmpeg

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such audio file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the audio file is empty")
    _refuse_nan_wav(path)
    # The "file:" prefix keeps ffmpeg from reading a name as an option or a protocol.
    command = (
        ffmpeg.input(f"file:{path}")
        .audio.output("pipe:", format="s16le", acodec="pcm_s16le", ac=1, ar=sample_rate)
        .global_args("-nostdin", "-loglevel", "error")
    )
    try:
        samples, _ = command.run(cmd=ffmpeg_path(), capture_stdout=True, capture_stderr=True)
    except ffmpeg.Error as error:
        raise InputError(f"{path}: {_reason(error.stderr)}") from None
    wav = np.frombuffer(samples[: len(samples) // 2 * 2], np.int16)
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


def _refuse_nan_wav(path: Path) -> None:
    """Refuse NaN in floating-point WAV files, which ffmpeg silently turns into noise."""
    try:
        with path.open("rb") as file:
            if file.read(4) not in (b"RIFF", b"RIFX", b"RF64"):
                return
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    import soundfile

    try:
        with soundfile.SoundFile(str(path)) as file:
            if file.subtype not in ("FLOAT", "DOUBLE"):
                return
            for block in file.blocks(blocksize=SAMPLE_RATE * 60, dtype="float32"):
                if not np.isfinite(block).all():
                    raise InputError(f"{path}: the audio has samples that are not finite (NaN)")
    except soundfile.LibsndfileError:
        return  # ffmpeg reads more kinds of WAV, and gives the reason for the rest
