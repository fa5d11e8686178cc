"""The baselines find what was put into the training clips, and trainings are found by name."""

from pathlib import Path

import numpy as np
import pytest
import torch

from src.data import dumps
from src.errors import InputError
from src.face.topology import LANDMARK_COUNT
from src.metrics.predictions import find_runs, fit_baselines, mel_energy
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
    slope, intercept = found["loudness"]
    assert slope[index] == pytest.approx(2, abs=1e-4)
    assert intercept[index] == pytest.approx(-2, abs=1e-4)
    mean_a = 2 * np.mean(np.array(one) - 1)
    mean_b = 2 * np.mean(np.array(two) - 1)
    assert found["mean"][1][index] == pytest.approx((mean_a + mean_b) / 2, abs=1e-4)


def save_run(root: Path, name: str, key: str) -> Path:
    path = root / "ckpt" / "run" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({key: {"weight": torch.zeros(2)}}, path)
    return path


def test_the_best_checkpoint_of_a_training_counts(tmp_path):
    last = save_run(tmp_path, "ckpt_last.pth", "G")
    assert find_runs(tmp_path, ("run",)) == {"speaker": last}
    best = save_run(tmp_path, "ckpt_best.pth", "G")
    assert find_runs(tmp_path, ("run",)) == {"speaker": best}


def test_a_training_of_something_else_is_refused(tmp_path):
    save_run(tmp_path, "ckpt_last.pth", "other")
    with pytest.raises(InputError, match="not AutoVC, a content or a speaker-aware branch"):
        find_runs(tmp_path, ("run",))
