"""Log-mel and F0 against the release's numbers and on synthetic tones."""

import numpy as np
import pytest

from src.speech.f0 import f0_bins, log_f0, normalise_f0
from src.speech.mel import log_mel, prepare_samples
from tests.parity import needs_parity
from tests.speech.signals import tone


@needs_parity
def test_mel_and_f0_are_the_releases(parity):
    samples = prepare_samples(parity["wav_normalised"])
    assert np.abs(log_mel(samples) - parity["mel"]).max() < 1e-4
    f0 = normalise_f0(log_f0(samples))
    assert np.abs(f0 - parity["f0_norm"]).max() < 1e-4
    assert np.array_equal(f0_bins(f0), parity["f0_bin"])


def test_a_tones_mel_peaks_at_its_pitch_and_its_f0_is_found():
    import librosa

    wav = tone(hertz=220.0)
    samples = prepare_samples(wav)
    mel = log_mel(samples)
    assert mel.shape == (len(wav) // 256 + 1, 80)
    bands = librosa.mel_frequencies(82, fmin=90, fmax=7600)[1:-1]
    assert bands[mel[20].argmax()] == pytest.approx(220, abs=40)
    f0 = log_f0(samples)
    voiced = f0 > 0
    assert voiced.mean() > 0.8
    assert np.exp(np.median(f0[voiced])) == pytest.approx(220, rel=0.02)
