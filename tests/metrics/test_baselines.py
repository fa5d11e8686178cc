"""The baselines find what was put into the training clips."""

import numpy as np
import pytest

from src.data import dumps
from src.face.topology import LANDMARK_COUNT
from src.metrics.baselines import fit_baselines
from src.metrics.predictions import mel_energy
from src.models.dimensions import MEL_BANDS
from tests.metrics.faces import irregular_face


def clip(name: str, energies: list[float], displacement: np.ndarray) -> dumps.Clip:
    """Features of the given log10 energies, and a face that moves by (T, 204)."""
    features = np.repeat((np.array(energies)[:, None] - np.log10(MEL_BANDS)) / 10, MEL_BANDS, 1)
    landmarks = irregular_face().reshape(1, -1) + displacement
    return dumps.Clip(features.astype(np.float32), landmarks, name, np.zeros(256, np.float32))


def test_mel_energy_is_the_power_of_all_bands():
    features = np.full((1, MEL_BANDS), 0.3)  # 30 dB each: power 1000
    assert mel_energy(features) == pytest.approx(np.log10(1000 * MEL_BANDS))


def test_the_loudness_line_is_found_and_speakers_have_equal_weight(tmp_path):
    # Jaw point 8 goes down by 2 * (energy - 1): the frames at rest, of energy 1, do not move.
    index = 3 * 8 + 1

    def displacement(energies):
        values = np.zeros((len(energies), 204))
        values[:, index] = 2 * (np.array(energies) - 1)
        return values

    quiet = [1.0] * 5
    one = [*quiet, 2.0, 3.0, 4.0, 5.0, 5.0]
    two = [*quiet, 3.0]
    rows = [clip("a/x+0", one, displacement(one)), clip("b/y+0", two, displacement(two))]
    rows += [clip("a/x+1", one, 9 + displacement(one))]
    rows += [clip("robot/r+0", two, 9 * displacement(two))]
    # The face at rest is the mean of the five frames of the least area: the mouth opens too.
    for row, energies in zip(rows[:2], (one, two), strict=True):
        lips = row.landmarks.reshape(-1, LANDMARK_COUNT, 3)
        lips[:, 65:68, 1] += np.array(energies)[:, None] - 1
    found = fit_baselines(rows, tmp_path, False, {"r"})
    assert found.slope[index] == pytest.approx(2, abs=1e-4)
    assert found.intercept[index] == pytest.approx(-2, abs=1e-4)
    mean_a = 2 * np.mean(np.array(one) - 1)
    mean_b = 2 * np.mean(np.array(two) - 1)
    assert found.mean[index] == pytest.approx((mean_a + mean_b) / 2, abs=1e-4)
