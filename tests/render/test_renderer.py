"""Every registered renderer keeps to the interface."""

import numpy as np
import pytest

from src.face.crop import FaceCrop, face_crop
from src.face.geometry import slim_lips_widen_eyes
from src.models.config import TranslationConfig
from src.models.image_translation import ResUnetGenerator
from src.render.renderer import RENDERERS, make_renderer

IMAGE = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)


def networks(name: str) -> list[ResUnetGenerator | None]:
    """The networks with which a renderer works: none, or one of each kind."""
    if name == "warp":
        return [None]
    small = {"num_downs": 4, "ngf": 4, "max_widening": 2}
    sizes = small, {"mends": True, **small}
    return [
        ResUnetGenerator(TranslationConfig(**size)).eval().requires_grad_(False) for size in sizes
    ]


@pytest.fixture
def face() -> np.ndarray:
    """Landmarks (68, 3) of a rough face in the image."""
    angle = np.linspace(0, np.pi, 17)
    face = np.empty((68, 3))
    face[:17, :2] = np.stack([80 - 30 * np.cos(angle), 55 + 40 * np.sin(angle)], 1)
    rest = np.random.default_rng(1).uniform((60, 40), (100, 80), (51, 2))
    face[17:, :2] = rest
    face[:, 2] = 0
    return face


@pytest.mark.parametrize("name", RENDERERS)
def test_frames_are_as_large_as_the_portrait(name, face):
    track = face + np.linspace(0, 2, 3)[:, None, None]
    for network in networks(name):
        frames = list(make_renderer(name, IMAGE, face, network).frames(track))
        assert len(frames) == 3
        assert {(frame.shape, str(frame.dtype)) for frame in frames} == {(IMAGE.shape, "uint8")}


def test_only_the_network_that_generates_the_face_adapts_landmarks(face):
    generating, refining = networks("unet")
    for name, network in (("warp", None), ("unet", refining)):
        adapted = make_renderer(name, IMAGE, face, network).adapt_landmarks(face)
        np.testing.assert_array_equal(adapted, face)
    crop = face_crop(face)
    adapted = make_renderer("unet", IMAGE, face, generating).adapt_landmarks(face)
    expected = slim_lips_widen_eyes(crop.to_crop(face))
    np.testing.assert_allclose(crop.to_crop(adapted), expected, atol=1e-9)
    whole = make_renderer("unet", IMAGE, face, generating, crop=FaceCrop(0, 0, 256))
    np.testing.assert_array_equal(whole.adapt_landmarks(face), slim_lips_widen_eyes(face))
