"""F0: tracked independently of earlier calls, quantised to 257 bins."""

from pathlib import Path

import numpy as np

from src.io.audio import read_audio
from src.speech.f0 import UNVOICED, f0_bins, f0_one_hot, log_f0, normalise_f0
from src.speech.mel import prepare_samples


def test_f0_does_not_depend_on_earlier_calls():
    examples = Path(__file__).parents[2] / "examples"
    # Within one process, audio of this odd length changes what RAPT returns for the next.
    one, other = (
        prepare_samples(read_audio(examples / name))[:length]
        for name, length in (("welcome_slt.wav", 24000), ("welcome_rms.wav", 24001))
    )
    first = log_f0(one)
    log_f0(other)
    again = log_f0(one)
    assert (first > 0).mean() > 0.3
    np.testing.assert_array_equal(again, first)


def test_f0_bins_span_unvoiced_and_256_levels():
    normalised = np.array([UNVOICED, 0.0, 0.5, 1.0], np.float32)
    assert f0_bins(normalised).tolist() == [0, 1, 129, 256]
    one_hot = f0_one_hot(f0_bins(normalised))
    assert one_hot.shape == (4, 257)
    assert one_hot.sum(1).tolist() == [1, 1, 1, 1]


def test_unpitched_audio_has_only_the_unvoiced_bin():
    samples = prepare_samples(np.zeros(8000, np.int16))
    normalised = normalise_f0(log_f0(samples))
    assert not f0_bins(normalised).any()
