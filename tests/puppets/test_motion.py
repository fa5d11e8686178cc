"""Motion of puppets: lips meet, and wide mouths open wide."""

import dataclasses

import numpy as np
import pytest

from src.face.geometry import denormalise
from src.face.topology import INNER_LIP_PAIRS
from src.puppets import motion, released
from src.puppets.closing import repaired
from src.puppets.files import read_puppet
from tests.puppets.sample import EXAMPLES


@pytest.mark.parametrize("method", [motion, released])
def test_lips_meet_in_the_image_where_they_were_predicted_to_cross(method):
    puppet = repaired(read_puppet(EXAMPLES / "clara.png"))
    predicted = np.repeat(puppet.closed_face[None], 60, 0).astype(np.float32)
    swing = 0.1 * np.sin(np.arange(60) / 4)
    predicted[:, 65:68, 1] += np.maximum(swing, 0)[:, None]
    landmarks = method.finish(denormalise(predicted, puppet.scale, puppet.shift))
    gaps = [landmarks[:, lower, 1] - landmarks[:, upper, 1] for upper, lower in INNER_LIP_PAIRS]
    still = puppet.closed_landmarks[None, :48].repeat(60, 0)
    np.testing.assert_allclose(landmarks[:, :48, :2], still, atol=1e-3)
    assert np.max(gaps) == pytest.approx(0.1 / -puppet.scale, rel=0.1)
    if method is motion:
        assert np.min(gaps) > -1e-4
        assert (np.abs(gaps) < 0.5).sum() > 40


def test_mouths_that_are_wide_open_in_the_image_open_wider():
    puppet = read_puppet(EXAMPLES / "count.png")
    assert 1.4 < motion.opening_gain(puppet) < 2
    landmarks = puppet.landmarks.copy()
    landmarks[65:68] = landmarks[[63, 62, 61]]
    closed = dataclasses.replace(puppet, landmarks=landmarks)
    assert motion.opening_gain(closed) == 1
    landmarks[65:68, 1] += 0.2 * (landmarks[16, 0] - landmarks[0, 0])
    assert motion.opening_gain(closed) == pytest.approx(0.5 * 0.2 / 0.06)
    landmarks[65:68, 1] += landmarks[16, 0] - landmarks[0, 0]
    assert motion.opening_gain(closed) == 2
