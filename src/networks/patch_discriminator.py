"""Judges of pictures for the training of image translation: one verdict a patch (Isola 2017)."""

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

SLOPE = 0.2


class PatchDiscriminator(nn.Module):
    """Convolutions of 4 x 4, halving three times; spectral norm keeps them calm (Miyato 2018).

    Args:
        input_nc: channels of what is judged.
        ndf: width of the first layer; the next ones double.
    """

    def __init__(self, input_nc: int = 6, ndf: int = 48):
        super().__init__()
        self.config = {"input_nc": input_nc, "ndf": ndf}
        widths = [input_nc, ndf, 2 * ndf, 4 * ndf]
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(before, after, 4, stride=2, padding=1))
            for before, after in zip(widths, widths[1:], strict=False)
        )
        self.layers.append(spectral_norm(nn.Conv2d(widths[-1], 8 * ndf, 4, padding=1)))
        self.verdict = spectral_norm(nn.Conv2d(8 * ndf, 1, 4, padding=1))

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """(B, input_nc, H, W) to verdicts (B, 1, h, w), higher: truer, and what each layer saw."""
        seen = []
        for layer in self.layers:
            pictures = nn.functional.leaky_relu(layer(pictures), SLOPE)
            seen.append(pictures)
        return self.verdict(pictures), seen
