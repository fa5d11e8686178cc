"""Synthetic speech."""

import shutil

import numpy as np
import pytest

from src.data import synthesis
from src.data.settings import Preparation


def test_sentences_are_the_same_for_the_same_seed():
    one, two = synthesis.random_sentences(3), synthesis.random_sentences(3)
    first = [next(one) for _ in range(20)]
    assert first == [next(two) for _ in range(20)]
    assert len(set(first)) > 10


def test_espeaks_mnemonics_become_cmu_phones():
    assert synthesis.cmu_phones("aI@") == ["ay", "ax"]
    assert synthesis.cmu_phones("tS") == ["ch"]
    assert synthesis.cmu_phones("_:") == ["pau"]


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
def test_flites_speech_ends_in_its_last_pause():
    spoken = synthesis.speak_flite("Papa moved the map.", "kal", stretch=1.2, pitch=110.0)
    assert [name for name, _, _ in spoken.phones].count("p") == 3
    name, start, end = spoken.phones[-1]
    assert name == "pau"
    assert start < len(spoken.wav) / 16000 < end + 0.01  # kal cuts the pause short
    loud = np.flatnonzero(np.abs(spoken.wav.astype(float)) > 2000) / 16000
    assert spoken.phones[0][2] - 0.02 < loud[0] < spoken.phones[1][2]


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
def test_a_shorter_run_deletes_what_a_longer_one_wrote(tmp_path):
    for minutes in (0.1, 0.01):
        synthesis.synthesise(Preparation(root_dir=tmp_path, synthetic={"kal": minutes}))
    assert [path.name for path in (tmp_path / "synthetic").iterdir()] == ["kal_00000.npz"]
