"""Random draws from clips."""

import numpy as np
import pytest

from src.data import dumps
from src.errors import InputError
from src.models.dimensions import WINDOW
from src.speech.features import standardise
from src.speech.windows import windows
from src.training.corpus import Corpus, clip_probabilities, noise


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


def test_noise_of_an_item_does_not_depend_on_the_others():
    seeds = np.array([3, 5, 7])
    every = noise(seeds, (4, 80))
    assert np.array_equal(noise(seeds[1:2], (4, 80))[0], every[1])
    assert (
        abs(every.std() - 1) < 0.1
        and abs(np.corrcoef(every[0].ravel(), every[1].ravel())[0, 1]) < 0.2
    )
