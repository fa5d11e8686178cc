"""The image translation network: a drawn landmark picture and a portrait to a frame (paper 4.4)."""

import torch
from torch import nn

MAX_WIDENING = 8
"""The deepest levels are this many times as wide as the first."""


def three_by_three(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """Convolution of 3 x 3 pixels without bias: what follows it is normed, or bounded by tanh."""
    return nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False)


class ResidualBlock(nn.Module):
    """Two convolutions added to their input, same width."""

    def __init__(self, width: int):
        super().__init__()
        self.block = nn.Sequential(
            three_by_three(width, width),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            three_by_three(width, width),
            nn.BatchNorm2d(width),
        )

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return torch.relu_(self.block(picture).add_(picture))


class Level(nn.Module):
    """One stride-2 level of the U: half the size, what lies deeper, twice the size.

    Args:
        inputs: channels in.
        width: channels at half the size.
        outputs: channels out, before the skip.
        deeper: the next level, which returns its input and its output together; None innermost.
        outermost: no norm, no skip, and a bare convolution at the end.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        outputs: int,
        deeper: nn.Module | None,
        outermost: bool = False,
    ):
        super().__init__()
        self.outermost = outermost
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

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        out = self.model(picture)
        return out if self.outermost else torch.cat([picture, out], dim=1)


class ResUnetGenerator(nn.Module):
    """A U of residual blocks with skips.

    Args:
        input_nc: channels in, landmark picture then portrait.
        output_nc: channels out.
        num_downs: stride-2 levels, at least 2; sizes must be multiples of 2 ** num_downs.
        ngf: width of the first level; the next ones double up to `MAX_WIDENING` times.
    """

    def __init__(self, input_nc: int = 6, output_nc: int = 3, num_downs: int = 6, ngf: int = 64):
        super().__init__()
        self.config = {
            "input_nc": input_nc,
            "output_nc": output_nc,
            "num_downs": num_downs,
            "ngf": ngf,
        }
        widths = [ngf * min(2**level, MAX_WIDENING) for level in range(num_downs)]
        deeper = None
        for level in range(num_downs - 1, 0, -1):
            deeper = Level(widths[level - 1], widths[level], widths[level - 1], deeper)
        self.model = Level(input_nc, widths[0], output_nc, deeper, outermost=True)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """(B, input_nc, H, W) BGR in 0-1 to (B, output_nc, H, W) before the tanh."""
        return self.model(pictures)
