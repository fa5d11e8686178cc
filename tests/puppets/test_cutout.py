"""Figures are cut out of plain backgrounds."""

import numpy as np

from src.io.image import read_image
from src.puppets.cutout import cut_out
from tests.puppets.sample import EXAMPLES


def over(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """A BGRA image over a colour, float64 BGR."""
    alpha = image[..., 3:] / 255
    return image[..., :3] * alpha + np.array(colour) * (1 - alpha)


def test_a_figure_is_cut_out_of_a_plain_wall():
    figure = read_image(EXAMPLES / "leo.png")
    cut = cut_out(np.round(over(figure, (90, 180, 120))).astype(np.uint8), "leo")
    error = np.abs(cut[..., 3].astype(int) - figure[..., 3])
    assert (error > 60).mean() < 0.005  # the one-pixel rim at most
    # Over white, no rim of the wall's colour is left round the figure.
    white = (255, 255, 255)
    assert (np.abs(over(cut, white) - over(figure, white)).max(-1) > 60).mean() < 0.003
    assert cut_out(figure, "leo") is figure


def test_an_image_without_a_figure_becomes_transparent():
    assert (cut_out(np.full((40, 50, 3), 128, np.uint8), "wall")[..., 3] == 0).all()
