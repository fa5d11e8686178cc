"""A small puppet to test with: the landmarks of a plain face over an image of waves."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from src.puppets.create import new_puppet
from src.puppets.files import write_puppet

SHARED = Path(__file__).resolve().parents[3] / "shared" / "puppets"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/puppets")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples_cartoon"
DEPTH = np.linspace(-0.8, 0.6, 68)
WIDTH, HEIGHT = 160, 200

OFFICIAL = [
    ("wilk.png", True, 12),
    ("roy.png", False, 12),
    ("sketch.png", True, 8),
    ("color.jpg", False, 8),
    ("cartoonM.png", False, 12),
    ("danbooru1.jpg", True, 12),
    ("roy_example.png", False, 12),
]
"""The release's puppets: image, whether the outer lips are left out, count of outside points."""


def open_face() -> np.ndarray:
    """Landmarks (68, 2) of a plain face with an open mouth, in an image of 160 x 200."""
    turn = np.linspace(0, np.pi, 17)
    jaw = np.stack([80 - 50 * np.cos(turn), 90 + 70 * np.sin(turn)], 1)
    brows = [
        (x, 70 - 3 * (i % 5 == 2)) for i, x in enumerate([*range(42, 67, 6), *range(94, 119, 6)])
    ]
    nose = [(80, y) for y in (85, 93, 101, 109)] + [(x, 115) for x in (70, 75, 80, 85, 90)]
    eyes = [
        (c + 9 * dx, 85 + 5 * dy)
        for c in (55, 105)
        for dx, dy in ((-1, 0), (-0.4, -1), (0.4, -1), (1, 0), (0.4, 1), (-0.4, 1))
    ]

    def ring(width, height, count):
        angle = np.pi - np.arange(count) * 2 * np.pi / count
        return np.stack([80 + width * np.cos(angle), 135 - height * np.sin(angle)], 1)

    return np.concatenate([jaw, brows, nose, eyes, ring(24, 14, 12), ring(18, 9, 8)])


def waves(alpha: bool = True) -> np.ndarray:
    """Smooth waves; with alpha a disc of it, soft at its edge."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = [127 + 100 * np.sin(x / (9 + 2 * c) + c) * np.cos(y / (11 - c)) for c in range(3)]
    if alpha:
        waves.append(np.clip(40 * (75 - np.hypot(x - 80, y - 100)), 0, 255))
    return np.dstack(waves).round().astype(np.uint8)


def puppet_on_disk(folder: Path, inner_lip: bool = False) -> Path:
    path = folder / "clown.png"
    cv2.imwrite(str(path), waves())
    write_puppet(new_puppet("clown", waves(), open_face(), DEPTH, inner_lip=inner_lip), path)
    return path
