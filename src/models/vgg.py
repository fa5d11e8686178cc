"""VGG-19 (Simonyan and Zisserman 2015), features of the perceptual loss (paper section 4.4)."""

import torch
from torch import nn

# Channels of the 3 x 3 convolutions; max pooling halves the size between the groups.
GROUPS = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512,))
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Statistics of ImageNet, RGB in 0-1."""


class Vgg19(nn.Module):
    """VGG-19 up to relu5_1, with the names of torchvision's weights (``features.0.weight`` ...)."""

    def __init__(self):
        super().__init__()
        layers: list[nn.Module] = []
        self.kept = []  # indices of relu1_1, relu2_1 ... relu5_1
        inputs = 3
        for number, group in enumerate(GROUPS):
            if number:
                layers.append(nn.MaxPool2d(2))
            for place, width in enumerate(group):
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
                inputs = width
                if place == 0:
                    self.kept.append(len(layers) - 1)
        self.features = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """BGR (B, 3, H, W) in 0-1 to the activations relu1_1, relu2_1 ... relu5_1."""
        activations = []
        features = (images.flip(1) - self.mean) / self.std
        for index, layer in enumerate(self.features):
            features = layer(features)
            if index in self.kept:
                activations.append(features)
        return activations
