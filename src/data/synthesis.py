"""Synthetic speech of many voices with known phone times, by flite and espeak-ng.

Both are programs of the system and needed only to prepare training data. Phones have CMU names
(``aa ae … zh``, ``pau``) whichever synthesiser is used.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import logging
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from src.data.settings import Preparation
from src.errors import InputError
from src.io.audio import SAMPLE_RATE, read_audio
from src.io.files import read_arrays, read_text, write_arrays

Phones = list[tuple[str, float, float]]  # CMU name, start and end in seconds

FLITE_PITCH = {"kal": 105.0, "awb": 115.0, "rms": 100.0, "slt": 170.0}  # Hz, near each voice's own
ESPEAK_VOICES = tuple(
    f"{language}+{variant}"
    for language, variant in itertools.product(
        ("en-us", "en-gb-scotland", "en-gb-x-rp"),
        ("m1", "m3", "m5", "m7", "f1", "f2", "f3", "f4", "f5", "Andy", "Annie", "Michael", "linda"),
    )
)

# Constants of espeak-ng's speak_lib.h.
_SYNCHRONOUS = 2  # audio comes to the callback
_PHONEME_EVENTS = 1  # initialisation flag
_PHONEME, _END_OF_LIST = 7, 0  # event types
_RATE, _PITCH = 1, 3  # parameters: words per minute, 0-100

# espeak-ng's phoneme mnemonics of English, the longest first.
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

LEXICON = Path(__file__).with_name("lexicon.txt")
"""Words and phrases by kind; together they bring every phone of English next to every other."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Utterance:
    """A sentence of synthetic speech."""

    wav: np.ndarray  # int16 (N,) at 16 kHz
    phones: Phones
    speaker: str


def synthesise(settings: Preparation) -> None:
    """Write speech of each voice to ``<root>/synthetic``, in place of that of an earlier run.

    ``espeak`` stands for all of ``ESPEAK_VOICES`` together.

    Raises:
        InputError: no voice, an unknown one, or a text that cannot be read.
    """
    known = (*FLITE_PITCH, "espeak")
    unknown = sorted(set(settings.synthetic) - set(known))
    if unknown or not settings.synthetic:
        option = " ".join(["--synthetic", *unknown])
        raise InputError(f"{option}: name voices ({', '.join(known)}) with minutes, as in rms=20")
    lines = read_text(settings.text).splitlines() if settings.text else []
    texts = [line for line in lines if line.strip()]
    folder = settings.root_dir / "synthetic"
    for voice, wanted in settings.synthetic.items():
        for path in folder.glob(f"{voice}_*.npz"):
            path.unlink()
        rng = np.random.default_rng([0, *voice.encode()])
        source = itertools.chain(texts, random_sentences(seed=int(rng.integers(1 << 30))))
        seconds = 0.0
        for index, text in enumerate(source):
            if seconds >= wanted * 60:
                break
            utterance = _speak(voice, text, rng)
            seconds += len(utterance.wav) / SAMPLE_RATE
            names, starts, ends = zip(*utterance.phones, strict=True)
            write_arrays(
                folder / f"{voice}_{index:05d}.npz",
                wav=utterance.wav,
                speaker=np.array(utterance.speaker),
                phones=np.array(names),
                times=np.stack([starts, ends], 1),
            )
        _log.info("%s: %.1f minutes", voice, seconds / 60)


def _speak(voice: str, text: str, rng: np.random.Generator) -> Utterance:
    """Speak at a random rate and pitch."""
    if voice == "espeak":
        name = str(rng.choice(ESPEAK_VOICES))
        return speak_espeak(text, name, int(rng.integers(130, 200)), int(rng.integers(25, 75)))
    stretch = float(rng.uniform(0.9, 1.25))
    return speak_flite(text, voice, stretch, FLITE_PITCH[voice] * float(rng.uniform(0.85, 1.2)))


def read_utterance(path: Path) -> Utterance:
    """Read a file of ``<root_dir>/synthetic``.

    Raises:
        InputError: it is not such a file.
    """
    data = read_arrays(path, ("wav", "speaker", "phones", "times"))
    phones = zip(data["phones"].tolist(), *data["times"].T.tolist(), strict=True)
    return Utterance(data["wav"], list(phones), str(data["speaker"]))


def utterance_paths(root: Path) -> list[Path]:
    """Files of ``<root>/synthetic``, sorted."""
    return sorted((root / "synthetic").glob("[!.]*.npz"))


def is_synthetic(path: Path) -> bool:
    """Whether a file is one of ``<root>/synthetic``, not a tracked clip."""
    return path.parent.name == "synthetic"


def voice_of(path: Path) -> str:
    """Voice of a file of ``<root>/synthetic``: one of flite's, or ``espeak`` for all of its own."""
    return path.stem.rpartition("_")[0]


def read_phones(root: Path) -> dict[str, Phones]:
    """Phones of all synthetic speech under ``root``, by clip name."""
    return {path.stem: read_utterance(path).phones for path in utterance_paths(root)}


def random_sentences(seed: int = 0) -> Iterator[str]:
    """Endless sentences of about 4 to 25 words, the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    kinds = dict(line.split(": ") for line in LEXICON.read_text().splitlines())
    lexicon = {kind: words.split(", ") for kind, words in kinds.items()}

    def pick(kind: str) -> str:
        return str(rng.choice(lexicon[kind]))

    def noun() -> str:
        adjective = f"{pick('adjective')} " if rng.random() < 0.6 else ""
        return f"{pick('the')} {adjective}{pick('thing')}"

    def clause() -> str:
        place = f" {pick('place')}" if rng.random() < 0.5 else ""
        return f"{noun()} {pick('verb')} {noun()}{place}"

    while True:
        if rng.random() < 0.15:
            yield pick("short")
            continue
        opening = f"{pick('opening')} " if rng.random() < 0.3 else ""
        second = f", {pick('joint')} {clause()}" if rng.random() < 0.5 else ""
        text = f"{opening}{clause()}{second}."
        yield text[0].upper() + text[1:]


def speak_flite(
    text: str, voice: str, stretch: float = 1.0, pitch: float | None = None
) -> Utterance:
    """Speak with flite; ``stretch`` above 1 is slower, ``pitch`` is the mean F0 in Hz.

    Raises:
        InputError: flite is not installed, or fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch}"]
        if pitch is not None:
            command += ["--setf", f"int_f0_target_mean={pitch}"]
        command += ["-psdur", "-o", str(path), "-t", text]
        try:
            spoken = subprocess.run(command, capture_output=True, text=True, check=True)
        except FileNotFoundError:
            raise InputError("flite: not installed; synthetic speech needs it") from None
        except subprocess.CalledProcessError as error:
            raise InputError(f"flite: cannot speak with voice {voice}: {error.stderr}") from None
        wav = read_audio(path)
    phones, start = [], 0.0
    for item in spoken.stdout.split():
        name, end = item.rsplit(":", 1)
        phones.append((name, start, float(end)))
        start = float(end)
    return Utterance(wav, phones, voice)


def speak_espeak(text: str, voice: str, rate: int = 165, pitch: int = 50) -> Utterance:
    """Speak with espeak-ng (``en-us+f2``: language and variant).

    The library keeps state between calls, so the same text need not give the same samples.

    Raises:
        InputError: the library is not installed or has no such voice.
    """
    library, native_rate = _load_espeak()
    pieces: list[bytes] = []
    marks: list[tuple[int, str]] = []

    def collect(samples, count, events):
        if samples and count:
            pieces.append(ctypes.string_at(samples, 2 * count))
        index = 0
        while events[index].type != _END_OF_LIST:
            if events[index].type == _PHONEME:
                name = events[index].id.decode("utf-8", "replace")
                marks.append((events[index].sample, name))
            index += 1
        return 0

    callback = _EspeakCallback(collect)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise InputError(f"espeak-ng: no voice {voice}")
    library.espeak_SetParameter(_RATE, rate, 0)
    library.espeak_SetParameter(_PITCH, pitch, 0)
    data = text.encode() + b"\0"
    library.espeak_Synth(data, len(data), 0, 1, 0, 1, None, None)
    library.espeak_Synchronize()
    samples = np.frombuffer(b"".join(pieces), np.int16)
    phones: Phones = []
    ends = [start for start, _ in marks[1:]] + [len(samples)]
    for (start, mnemonic), end in zip(marks, ends, strict=True):
        names = cmu_phones(mnemonic)
        edges = np.linspace(start, end, len(names) + 1) / native_rate
        phones += [(n, a, b) for n, a, b in zip(names, edges, edges[1:], strict=False) if b > a]
    resampled = np.round(resample_poly(samples.astype(np.float64), SAMPLE_RATE, native_rate))
    return Utterance(np.clip(resampled, -32768, 32767).astype(np.int16), phones, voice)


def cmu_phones(mnemonic: str) -> list[str]:
    """CMU phones of one espeak-ng mnemonic; unknown ones count as a weak vowel."""
    pattern = "|".join(map(re.escape, _ESPEAK_TO_CMU))
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


@functools.cache
def _load_espeak() -> tuple[ctypes.CDLL, int]:
    """The library and its sample rate."""
    try:
        library = ctypes.CDLL("libespeak-ng.so.1")
    except OSError:
        raise InputError("espeak-ng: not installed; synthetic speech needs it") from None
    return library, library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS)
