"""Loudness: the release's normalisation."""

import numpy as np
import pytest

from src.io.audio import read_audio
from src.speech.loudness import loudness, normalise_loudness
from tests.parity import PARITY, needs_parity
from tests.speech.signals import tone


@needs_parity
def test_loudness_is_the_releases(parity):
    wav = read_audio(PARITY / "pipeline.wav")
    normalised = normalise_loudness(wav)
    assert np.abs(normalised.astype(int) - parity["wav_normalised"]).max() <= 1


def test_loudness_goes_to_minus_20_dbfs_and_silence_stays():
    assert loudness(normalise_loudness(tone(level=0.01))) == pytest.approx(-20, abs=0.1)
    assert not normalise_loudness(np.zeros(100, np.int16)).any()
