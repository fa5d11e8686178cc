"""Speech with known phone times, from the synthesisers flite and espeak-ng.

Both are programs of the system and are needed only to prepare training data. Phones come back in
the CMU names (``aa ae … zh``, ``pau``) whichever synthesiser spoke.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.errors import InputError
from src.io.audio import SAMPLE_RATE, read_audio

FLITE_VOICES = ("kal", "awb", "rms", "slt")
_ESPEAK_LIBRARY = "libespeak-ng.so.1"
_ESPEAK_SYNCHRONOUS = 2  # audio comes to the callback
_ESPEAK_PHONEME_EVENTS = 1  # initialisation flag
_ESPEAK_PHONEME, _ESPEAK_END_OF_LIST = 7, 0  # event types
_ESPEAK_RATE, _ESPEAK_PITCH = 1, 3  # parameters: words a minute, 0-100

# espeak-ng's mnemonics of English, longest match first.
_ESPEAK_TO_CMU = {
    "aI@": "ay ax", "aI3": "ay er", "aU@": "aw ax", "tS": "ch", "dZ": "jh", "eI": "ey",
    "aI": "ay", "aU": "aw", "OI": "oy", "oU": "ow", "e@": "eh r", "i@": "iy r", "U@": "uh r",
    "A@": "aa r", "O@": "ao r", "o@": "ao r", "3:": "er", "A:": "aa", "i:": "iy", "u:": "uw",
    "O:": "ao", "A~": "aa n", "O~": "ao n", "@L": "ax l", "aa": "ae", "I#": "ih", "I2": "ih",
    "a#": "ax", "E#": "eh", "E2": "eh", "0#": "aa", "t#": "t", "t2": "t", "d#": "d", "r-": "r",
    "n-": "n", "m-": "m", "l#": "l", "w#": "w", "z#": "z", "@2": "ax", "@5": "ax", "_:": "pau",
    "a": "ae", "A": "aa", "E": "eh", "3": "er", "@": "ax", "I": "ih", "i": "iy", "O": "ao",
    "0": "aa", "o": "ow", "U": "uh", "u": "uw", "V": "ah", "e": "eh", "p": "p", "b": "b",
    "t": "t", "d": "d", "k": "k", "g": "g", "f": "f", "v": "v", "T": "th", "D": "dh", "s": "s",
    "z": "z", "S": "sh", "Z": "zh", "h": "hh", "m": "m", "n": "n", "N": "ng", "l": "l",
    "L": "l", "r": "r", "R": "r", "j": "y", "w": "w", "W": "w", "x": "k", "C": "hh", "*": "d",
    "?": "pau", "_": "pau", ";": "", "-": "", ":": "", "~": "", "^": "", "'": "", ",": "",
    "%": "", "=": "", "|": "", "#": "", "2": "", "5": "", "`": "", '"': "",
}  # fmt: skip


@dataclass(frozen=True)
class Speech:
    """Samples and the phones in them."""

    wav: np.ndarray  # int16 (N,) at 16 kHz
    phones: list[tuple[str, float, float]]  # CMU name, start and end in seconds


def speak_flite(text: str, voice: str, stretch: float = 1.0, pitch: float | None = None) -> Speech:
    """Speak with flite; ``stretch`` above 1 is slower, ``pitch`` is the mean F0 in Hz.

    Raises:
        InputError: flite is not installed, or refuses.
    """
    program = shutil.which("flite")
    if program is None:
        raise InputError("flite: not installed; it speaks the training data with phone times")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        options = ["--setf", f"duration_stretch={stretch}", "-psdur", "-o", str(path)]
        if pitch is not None:
            options += ["--setf", f"int_f0_target_mean={pitch}"]
        done = subprocess.run(
            [program, "-voice", voice, *options, "-t", text], capture_output=True, text=True
        )
        if done.returncode or not path.is_file():
            raise InputError(f"flite: cannot speak with voice {voice}: {done.stderr.strip()}")
        wav = read_audio(path)
    phones, start = [], 0.0
    for item in done.stdout.split():
        name, _, end = item.rpartition(":")
        phones.append((name, start, float(end)))
        start = float(end)
    return Speech(wav, phones)


def speak_espeak(text: str, voice: str, rate: int = 165, pitch: int = 50) -> Speech:
    """Speak with espeak-ng (``en-us+f2``: language and variant) in a process of its own.

    Raises:
        InputError: the library is not installed or does not know the voice.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(speak_espeak_here, (text, voice, rate, pitch))


def speak_espeak_here(text: str, voice: str, rate: int = 165, pitch: int = 50) -> Speech:
    """As ``speak_espeak``, in this process: the library keeps global state between calls."""
    library = _espeak()
    pieces: list[bytes] = []
    marks: list[tuple[int, str]] = []

    def collect(samples, count, events):
        if samples and count:
            pieces.append(ctypes.string_at(samples, 2 * count))
        i = 0
        while events[i].type != _ESPEAK_END_OF_LIST:
            if events[i].type == _ESPEAK_PHONEME:
                marks.append((events[i].sample, events[i].id.decode("utf-8", "replace")))
            i += 1
        return 0

    callback = _EspeakCallback(collect)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise InputError(f"espeak-ng: no voice {voice}")
    library.espeak_SetParameter(_ESPEAK_RATE, rate, 0)
    library.espeak_SetParameter(_ESPEAK_PITCH, pitch, 0)
    data = text.encode() + b"\0"
    library.espeak_Synth(data, len(data), 0, 1, 0, 1, None, None)
    library.espeak_Synchronize()
    samples = np.frombuffer(b"".join(pieces), np.int16)
    return Speech(_to_clock(samples, _espeak_rate()), _espeak_phones(marks, len(samples)))


def _espeak_phones(marks: list[tuple[int, str]], samples: int) -> list[tuple[str, float, float]]:
    ends = [sample for sample, _ in marks[1:]] + [samples]
    phones = []
    for (start, mnemonic), end in zip(marks, ends, strict=True):
        names = cmu_of(mnemonic)
        edges = np.linspace(start, max(end, start), len(names) + 1) / _espeak_rate()
        phones += [(n, a, b) for n, a, b in zip(names, edges, edges[1:], strict=False) if b > a]
    return phones


def cmu_of(mnemonic: str) -> list[str]:
    """CMU phones of one espeak-ng mnemonic; what is not known counts as a weak vowel."""
    pattern = "|".join(re.escape(key) for key in sorted(_ESPEAK_TO_CMU, key=len, reverse=True))
    names: list[str] = []
    for token in re.findall(f"{pattern}|.", mnemonic):
        names += _ESPEAK_TO_CMU.get(token, "ax").split()
    return names or ["pau"]


class _EspeakEvent(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    ]


_EspeakCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_EspeakEvent)
)
_loaded: list = []


def _espeak() -> ctypes.CDLL:
    if not _loaded:
        try:
            library = ctypes.CDLL(_ESPEAK_LIBRARY)
        except OSError:
            raise InputError("espeak-ng: not installed; it speaks the training data") from None
        rate = library.espeak_Initialize(_ESPEAK_SYNCHRONOUS, 0, None, _ESPEAK_PHONEME_EVENTS)
        _loaded.extend((library, rate))
    return _loaded[0]


def _espeak_rate() -> int:
    return _loaded[1]


def _to_clock(samples: np.ndarray, rate: int) -> np.ndarray:
    from scipy.signal import resample_poly

    resampled = resample_poly(samples.astype(np.float64), SAMPLE_RATE, rate)
    return np.clip(np.round(resampled), -32768, 32767).astype(np.int16)
