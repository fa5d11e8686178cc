"""Fixtures and signals for the tests of speech features."""

import numpy as np
import pytest

from tests.parity import PARITY


@pytest.fixture(scope="session")
def parity() -> dict[str, np.ndarray]:
    return dict(np.load(PARITY / "pipeline.npz"))
