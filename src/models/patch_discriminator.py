"""Judges of pictures for the training of image translation: one verdict a patch (Isola 2017)."""

import torch
from torch import nn

SLOPE = 0.2


class PatchDiscriminator(nn.Module):
    """Convolutions of 4 x 4, halving three times, all but the first with instance norm.

    A spectral norm in its place would bind the judge to how far apart pictures are: true and made
    mouths are so near that it could not tell them from each other.

    Args:
        input_nc: channels of what is judged.
        ndf: width of the first layer; the next ones double.
    """

    def __init__(self, input_nc: int = 6, ndf: int = 48):
        super().__init__()
        self.config = {"input_nc": input_nc, "ndf": ndf}
        widths = [input_nc, ndf, 2 * ndf, 4 * ndf, 8 * ndf]
        self.layers = nn.ModuleList()
        for number, (before, after) in enumerate(zip(widths, widths[1:], strict=False)):
            stride = 1 if after == widths[-1] else 2
            layer = [nn.Conv2d(before, after, 4, stride=stride, padding=1)]
            layer += [nn.InstanceNorm2d(after)] if number else []
            self.layers.append(nn.Sequential(*layer, nn.LeakyReLU(SLOPE)))
        self.verdict = nn.Conv2d(widths[-1], 1, 4, padding=1)

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """(B, input_nc, H, W) to verdicts (B, 1, h, w), higher: truer, and what each layer saw."""
        seen = []
        for layer in self.layers:
            pictures = layer(pictures)
            seen.append(pictures)
        return self.verdict(pictures), seen
