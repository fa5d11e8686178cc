"""Patch discriminator for the training of image translation (Isola et al. 2017)."""

import torch
from torch import nn

SLOPE = 0.2


class PatchDiscriminator(nn.Module):
    """4 x 4 convolutions, the first three of stride 2, all but the first with instance norm.

    Spectral norm instead would bound the scores by the distance of the images: real and generated
    mouths are so close that the discriminator could not tell them apart.

    Args:
        ndf: width of the first layer; the next ones double.
    """

    def __init__(self, ndf: int = 48):
        super().__init__()
        widths = [6, ndf, 2 * ndf, 4 * ndf, 8 * ndf]
        self.layers = nn.ModuleList()
        for number, (before, after) in enumerate(zip(widths, widths[1:], strict=False)):
            stride = 1 if after == widths[-1] else 2
            layer = [nn.Conv2d(before, after, 4, stride=stride, padding=1)]
            layer += [nn.InstanceNorm2d(after)] if number else []
            self.layers.append(nn.Sequential(*layer, nn.LeakyReLU(SLOPE)))
        self.verdict = nn.Conv2d(widths[-1], 1, 4, padding=1)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Score the patches of images (B, 6, H, W): frame and landmark image.

        Returns:
            Scores (B, 1, h, w), higher for real, and the features after each layer.
        """
        features = []
        for layer in self.layers:
            images = layer(images)
            features.append(images)
        return self.verdict(images), features
