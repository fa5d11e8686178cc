from pathlib import Path

import pytest

from tests.puppets.sample import puppet_on_disk


@pytest.fixture
def clown(tmp_path) -> Path:
    """The image of a small puppet."""
    return puppet_on_disk(tmp_path)
