"""Audio-visual offsets of signals."""

import numpy as np
import pytest

from src.data import clips, offsets, tracking
from src.io.audio import FRAME_RATE, SAMPLE_RATE


@pytest.fixture(scope="module")
def babble() -> np.ndarray:
    """A gap of lips, at 500 points a second, that changes a few times a second: 8 s."""
    noise = np.random.default_rng(3).normal(size=4000)
    smooth = np.convolve(noise, np.hanning(60), "same")
    return smooth / smooth.std()


@pytest.mark.parametrize("lead", range(-offsets.LONGEST_SHIFT, offsets.LONGEST_SHIFT + 1))
def test_a_known_shift_is_found_exactly(babble, lead):
    """The video shows at t what the audio has `lead` frames later."""
    times = np.arange(500, 3500) / 500
    knots = np.arange(len(babble)) / 500
    video = np.interp(np.arange(times[0], times[-1], 1 / 25) + lead / 25, knots, babble)
    audio = np.interp(np.arange(times[0], times[-1], 1 / FRAME_RATE), knots, babble)
    rng = np.random.default_rng(0)
    noisy = 3 + 0.1 * video + 0.03 * rng.normal(size=len(video))
    frames, correlation = offsets.estimate_offset(noisy, audio)
    assert frames == lead
    assert correlation > 0.9


def test_the_sign_is_that_of_the_manifest(babble):
    """The video leads by 4 frames: dropping that much audio puts both in sync."""
    wav_times = np.arange(6 * SAMPLE_RATE) / SAMPLE_RATE
    knots = np.arange(len(babble)) / 500
    audio = np.interp(wav_times + 1.0, knots, babble)  # one gap per audio sample
    video = np.interp(np.arange(150) / 25 + 1.0 + 4 / 25, knots, babble)
    predicted = audio[:: SAMPLE_RATE * 2 // 125]
    offset = offsets.estimate_offset(video, predicted)[0] / clips.VIDEO_RATE
    track = np.broadcast_to(video[:, None, None], (150, 68, 3))
    track, first = tracking.resample_to_audio(track, offset, len(audio))
    in_sync = audio[first:][:: SAMPLE_RATE * 2 // 125][: len(track)]
    assert np.corrcoef(track[:, 0, 0], in_sync)[0, 1] > 0.98


def test_still_or_unrelated_lips_are_not_in_sync(babble):
    assert np.isnan(offsets.estimate_offset(np.zeros(100), babble[:250])[1])
    assert np.isnan(offsets.estimate_offset(babble[:20], babble[:50])[1])
    other = np.random.default_rng(9).normal(size=200)
    unrelated = np.convolve(other, np.hanning(6), "same")
    _, correlation = offsets.estimate_offset(unrelated, babble[::8][:500])
    assert correlation < offsets.least_correlation(8.0) < offsets.least_correlation(3.0) == 0.5
