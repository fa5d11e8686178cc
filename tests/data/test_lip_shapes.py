"""Lip motion from phones."""

import numpy as np

from src.data import lip_shapes


def test_lips_are_shut_all_through_a_bilabial_and_wide_in_an_open_vowel():
    phones = [("pau", 0, 0.2), ("m", 0.2, 0.3), ("aa", 0.3, 0.5), ("p", 0.5, 0.6), ("pau", 0.6, 1)]
    gap = lip_shapes.mouth_motion(phones, 62, rate=62.5)[:, 0]
    times = np.arange(62) / 62.5
    assert np.all(gap[(times >= 0.2) & (times <= 0.3)] == 0)
    assert np.all(gap[(times >= 0.5) & (times <= 0.6)] == 0)
    assert gap[(times > 0.3) & (times < 0.5)].max() > 0.6 * lip_shapes.FULL_OPENING
    assert gap[times > 0.9].max() < 0.05 * lip_shapes.FULL_OPENING


def test_rounded_vowels_narrow_the_mouth_and_spread_ones_widen_it():
    rounded = lip_shapes.mouth_motion([("uw", 0, 0.4)], 25, rate=62.5)[:, 1]
    spread = lip_shapes.mouth_motion([("iy", 0, 0.4)], 25, rate=62.5)[:, 1]
    assert rounded[12] < -0.03
    assert spread[12] > 0.03


def test_the_lip_map_recovers_a_linear_mouth():
    rng = np.random.default_rng(1)
    gap, width = rng.random(50), rng.random(50)
    moves = np.zeros((50, 68, 3))
    for upper, lower in ((61, 67), (62, 66), (63, 65)):
        moves[:, upper, 1], moves[:, lower, 1] = -0.3 * gap, 0.7 * gap
    moves[:, 54, 0] = width
    weights = lip_shapes.fit_lip_weights(moves)
    again = (np.stack([gap, width], 1) @ weights).reshape(50, 68, 3)
    assert np.abs(again - moves).max() < 1e-9
