"""The image-translation network: landmark image and portrait to a frame (paper section 4.4)."""

import torch
from torch import nn

from src.models.config import TranslationConfig


def three_by_three(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """3 x 3 convolution without bias, to be followed by a norm or tanh."""
    return nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False)


class ResidualBlock(nn.Module):
    """Two convolutions with a residual connection, same width."""

    def __init__(self, width: int):
        super().__init__()
        self.block = nn.Sequential(
            three_by_three(width, width),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            three_by_three(width, width),
            nn.BatchNorm2d(width),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.relu_(self.block(features).add_(features))


class Level(nn.Module):
    """One stride-2 level of the U-Net: downsampling, the deeper levels, upsampling.

    Args:
        inputs: channels in.
        width: channels at half the resolution.
        deeper: the next level, which concatenates its input and output; None for the innermost.
        outputs: channels out of the outermost level, which has no norm and no skip connection.
    """

    def __init__(
        self, inputs: int, width: int, deeper: nn.Module | None, outputs: int | None = None
    ):
        super().__init__()
        self.outermost = outermost = outputs is not None
        outputs = outputs or inputs
        layers: list[nn.Module] = [three_by_three(inputs, width, stride=2)]
        if deeper is not None and not outermost:
            layers.append(nn.BatchNorm2d(width))
        layers += [nn.ReLU(inplace=True), ResidualBlock(width), ResidualBlock(width)]
        if deeper is not None:
            layers.append(deeper)
        layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
        layers.append(three_by_three(width if deeper is None else 2 * width, outputs))
        if not outermost:
            layers += [nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
            layers += [ResidualBlock(outputs), ResidualBlock(outputs)]
        self.model = nn.Sequential(*layers)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        out = self.model(features)
        return out if self.outermost else torch.cat([features, out], dim=1)


class ResUnetGenerator(nn.Module):
    """U-Net of residual blocks that generates a frame or refines a warped portrait."""

    def __init__(self, config: TranslationConfig):
        super().__init__()
        self.config = config
        widths = [
            config.ngf * min(2**level, config.max_widening) for level in range(config.num_downs)
        ]
        deeper = None
        for level in range(config.num_downs - 1, 0, -1):
            deeper = Level(widths[level - 1], widths[level], deeper)
        self.model = Level(config.inputs, widths[0], deeper, config.outputs)
        if config.mends:
            # Training starts from the warped portrait itself: worse frames at first would only
            # teach the network to keep its alpha mask closed.
            nn.init.zeros_(self.model.model[-1].weight)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, inputs, H, W) BGR in 0-1 to (B, outputs, H, W).

        `generated_frame` or `refinement` turns the result into images.
        """
        return self.model(images)


def generated_frame(output: torch.Tensor) -> torch.Tensor:
    """Frame (B, 3, H, W), BGR in 0-1, from the output of a network without `mends`."""
    return torch.tanh(output).clamp(min=0)


def refinement(output: torch.Tensor, warped: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Refined image and alpha mask from the output of a network with `mends`.

    Args:
        output: (B, 4, H, W): RGB residual and logit of the alpha mask.
        warped: (B, 3, H, W) BGR in 0-1, the portrait warped to the landmarks.

    Returns:
        Image (B, 3, H, W) in 0-1 and its alpha mask (B, 1, H, W), to be blended over `warped`.
    """
    image = (warped + torch.tanh(output[:, :3])).clamp(0, 1)
    return image, torch.sigmoid(output[:, 3:])
