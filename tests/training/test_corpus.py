"""Random draws from clips."""

import numpy as np
import pytest

from src.data import dumps
from src.errors import InputError
from src.models.dimensions import WINDOW
from src.speech.features import standardise
from src.speech.windows import windows
from src.training.corpus import MEL_NOISE, Corpus, clip_probabilities


def clips_of(**lengths: int) -> list[dumps.Clip]:
    """Silent clips by name; ``__`` stands for ``/``."""
    return [
        dumps.Clip(
            np.zeros((count, 80)), np.zeros((count, 204)), name.replace("__", "/"), np.zeros(256)
        )
        for name, count in lengths.items()
    ]


def test_each_group_of_speakers_gets_its_fraction_of_the_batches():
    known = clips_of(s0__a=30, s0__b=10, s1__c=50, s1__d=3, s2__e=5)
    probabilities = clip_probabilities(known, {"s0": 0.8}, 4)
    assert probabilities == pytest.approx([0.6, 0.2, 0.2 * 50 / 55, 0, 0.2 * 5 / 55])


def test_clips_of_a_group_can_be_drawn_equally_often_however_long_they_are():
    known = clips_of(s0__a=30, s0__b=10, s1__c=50, s1__d=3, s2__e=5)
    probabilities = clip_probabilities(known, {"s0": 0.8}, 4, even=True)
    assert probabilities == pytest.approx([0.4, 0.4, 0.1, 0, 0.1])


def test_a_share_for_nobody_is_refused():
    with pytest.raises(InputError, match="--share zz"):
        clip_probabilities(clips_of(s0__a=9), {"zz": 0.5}, 4)


def test_windows_are_views_and_those_of_the_whole_clip_standardised():
    features = np.random.default_rng(0).random((90, 80), np.float32)
    mean, std = features.mean(0), features.std(0)
    whole = windows(standardise(features, mean, std), 6)
    assert whole.shape == (90, WINDOW, 80)
    clip = dumps.Clip(features, np.zeros((90, 204)), "s0/a", np.zeros(256))
    data = Corpus([clip], np.zeros((1, 204)), mean, std, lead=6)
    for first, end in ((0, 90), (0, 4), (3, 7), (70, 74), (86, 90)):
        view = data.windows(0, first, end)
        assert view.base is not None
        assert np.array_equal(view, whole[first:end])


def test_noise_of_a_run_does_not_depend_on_the_process_that_draws_it(monkeypatch):
    data = Corpus(clips_of(s0__a=9), np.zeros((1, 204)), np.zeros(80), np.ones(80), lead=0)
    runs = 3 * [(0, 2, 6)]  # silence
    faces = np.arange(3)
    (every, *_), names = data.batch(runs, faces, np.random.default_rng(1))
    assert names == 3 * ["s0/a"]
    assert abs(every.std() - MEL_NOISE) < 0.1 * MEL_NOISE
    assert abs(np.corrcoef(every[0].ravel(), every[1].ravel())[0, 1]) < 0.2
    monkeypatch.setattr("src.training.parallel.own", lambda count: slice(1, 2))
    (one, face, _), _ = data.batch(runs, faces, np.random.default_rng(1))
    assert np.array_equal(one, every[1:2]) and face.tolist() == [1]
