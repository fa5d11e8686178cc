"""Synthetic speech of many voices, with the times of its phones."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import numpy as np

from src.data import dumps, synthesis
from src.data.sentences import sentences
from src.errors import InputError
from src.io.audio import SAMPLE_RATE

ESPEAK_VOICES = tuple(
    f"{language}+{variant}"
    for language, variant in itertools.product(
        ("en-us", "en-gb-scotland", "en-gb-x-rp"),
        ("m1", "m3", "m5", "m7", "f1", "f2", "f3", "f4", "f5", "Andy", "Annie", "Michael", "linda"),
    )
)
FLITE_PITCH = {"kal": 105.0, "awb": 115.0, "rms": 100.0, "slt": 170.0}  # Hz, about each one's own

_log = logging.getLogger(__name__)


def speak_all(minutes: dict[str, float], texts: list[str], root: Path, seed: int = 0) -> None:
    """Speak into ``<root>/synthetic`` until each voice has its minutes.

    Args:
        minutes: flite's voices by name; ``espeak`` stands for all of ``ESPEAK_VOICES`` together.
        texts: spoken first, then sentences without end.

    What an earlier run said beyond that is deleted.

    Raises:
        InputError: an unknown voice.
    """
    unknown = sorted(set(minutes) - {*FLITE_PITCH, "espeak"})
    if unknown:
        voices_known = ", ".join((*FLITE_PITCH, "espeak"))
        raise InputError(f"--synthetic {', '.join(unknown)}: the voices are {voices_known}")
    for voice, wanted in minutes.items():
        rng = np.random.default_rng([seed, *voice.encode()])
        source = itertools.chain(texts, sentences(seed=int(rng.integers(1 << 30))))
        seconds, spoken = 0.0, set()
        for index, text in enumerate(source):
            if seconds >= wanted * 60:
                break
            name, speech = _speak_one(voice, text, rng)
            seconds += len(speech.wav) / SAMPLE_RATE
            names, starts, ends = zip(*speech.phones, strict=True)
            spoken.add(path := root / "synthetic" / f"{voice}_{index:05d}.npz")
            dumps.save_npz(
                path,
                wav=speech.wav,
                speaker=np.array(name),
                phones=np.array(names),
                times=np.array([starts, ends]).T,
                text=np.array(text),
            )
        for path in set((root / "synthetic").glob(f"{voice}_*.npz")) - spoken:
            path.unlink()
        _log.info("%s: %.1f minutes", voice, seconds / 60)


def _speak_one(voice: str, text: str, rng: np.random.Generator) -> tuple[str, synthesis.Speech]:
    if voice == "espeak":
        name = str(rng.choice(ESPEAK_VOICES))
        rate, pitch = int(rng.integers(130, 200)), int(rng.integers(25, 75))
        return name, synthesis.speak_espeak_here(text, name, rate, pitch)
    stretch = float(rng.uniform(0.9, 1.25))
    pitch = FLITE_PITCH[voice] * float(rng.uniform(0.85, 1.2))
    return voice, synthesis.speak_flite(text, voice, stretch, pitch)
