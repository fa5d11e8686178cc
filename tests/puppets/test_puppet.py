"""Frames of a puppet."""

import numpy as np
import pytest

from src.face.topology import INNER_LIP_PAIRS
from src.puppets.create import new_puppet
from src.puppets.files import read_puppet
from tests.puppets.sample import DEPTH, HEIGHT, OFFICIAL, SHARED, WIDTH, needs_shared, open_face


@needs_shared
@pytest.mark.parametrize(("name", "inner_lip", "outside"), OFFICIAL)
def test_an_official_puppet_at_rest_is_its_image(name, inner_lip, outside):
    puppet = read_puppet(SHARED / name)
    background = np.full((*puppet.image.shape[:2], 3), (30, 90, 160), np.uint8)
    frame = puppet.renderer(background).render(puppet.landmarks)
    expected = puppet.image[..., :3].astype(float)
    if puppet.image.shape[2] == 4:
        alpha = puppet.image[..., 3:] / 255
        expected = expected * alpha + background * (1 - alpha)
    assert np.abs(frame - expected).max() <= 1.51  # two roundings


def test_the_background_shows_through_alpha_only(clown):
    puppet = read_puppet(clown)
    background = np.full((HEIGHT, WIDTH, 3), (10, 200, 60), np.uint8)
    frame = puppet.renderer(background).render(puppet.landmarks)
    alpha = puppet.image[..., 3:] / 255
    expected = puppet.image[..., :3] * alpha + background * (1 - alpha)
    assert np.abs(frame - expected).max() <= 1.51
    assert (frame[5, 5] == (10, 200, 60)).all()
    white = puppet.renderer().render(puppet.landmarks)
    assert (white[5, 5] == 255).all()


def test_a_moved_face_moves_its_pixels(clown):
    puppet = read_puppet(clown)
    moved = puppet.landmarks + (7, -3)
    frame = puppet.renderer().render(moved)
    rest = puppet.renderer().render(puppet.landmarks)
    inside = (slice(90, 130), slice(40, 120))
    shifted = rest[93:133, 33:113]
    assert np.abs(frame[inside].astype(int) - shifted).max() <= 2


def test_a_mouth_that_crosses_leaves_no_hole(clown):
    puppet = read_puppet(clown)
    crossed = puppet.landmarks.copy()
    for upper, lower in INNER_LIP_PAIRS:
        crossed[[upper, lower]] = crossed[[lower, upper]]
    opaque = new_puppet("clown", np.full((HEIGHT, WIDTH, 3), 200, np.uint8), open_face(), DEPTH)
    assert (opaque.renderer().render(crossed) == 200).all()
