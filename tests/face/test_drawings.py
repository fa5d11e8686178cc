"""Drawn faces are found where they are, not where a detector made for photographs guesses."""

from pathlib import Path

import numpy as np
import pytest

from src.face.contours import fit_inner_lips
from src.face.drawings import detect_drawn_face
from src.io.image import read_image
from src.puppets.files import read_puppet

ROOT = Path(__file__).resolve().parents[2]
CARTOONS = ROOT / "examples_cartoon"
SHARED = ROOT.parent / "shared"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared")


@needs_shared
@pytest.mark.parametrize(
    ("name", "most", "without_lips"),
    [
        ("roy_example.png", 0.023, None),
        ("cartoonM.png", 0.031, None),
        ("sketch.png", 0.045, 0.044),
        ("danbooru1.jpg", 0.062, 0.06),
    ],
)
def test_official_puppets_are_found_where_the_release_has_them(name, most, without_lips):
    path = SHARED / "puppets" / name
    official, image = read_puppet(path).landmarks, read_image(path)
    found = detect_drawn_face(image, "mediapipe", name)
    width = np.linalg.norm(official[16] - official[0])
    assert np.linalg.norm(found - official, axis=1).mean() < most * width
    if without_lips:  # as --inner_lip has it, which is for mouths like these
        found = fit_inner_lips(image, found)
        assert np.linalg.norm(found - official, axis=1).mean() < without_lips * width


def test_a_beard_is_no_face():
    """A single look takes the bearded captain's cheek for a face."""
    drawn = read_puppet(CARTOONS / "captain.png")
    found = detect_drawn_face(drawn.image, "mediapipe", "captain")
    width = drawn.landmarks[16, 0] - drawn.landmarks[0, 0]
    assert np.linalg.norm(found - drawn.landmarks, axis=1).mean() < 0.06 * width
