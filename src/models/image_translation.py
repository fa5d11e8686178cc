"""The image translation network: a drawn landmark picture and a portrait to a frame (paper 4.4)."""

import torch
from torch import nn

MENDING_INPUTS = 9
"""Channels that a mending network reads: drawn landmarks, portrait, warped portrait."""

MENDING_OUTPUTS = 4
"""Channels that a mending network makes: change of the colours, and how much of it counts."""


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

    With the published sizes it paints the frame. With `MENDING_INPUTS` and `MENDING_OUTPUTS` it
    mends one: it also sees the portrait already warped to the landmarks, and says where that is
    to be replaced, and by what.

    Args:
        input_nc: channels in: landmark picture, portrait and, where it mends, warped portrait.
        output_nc: channels out.
        num_downs: stride-2 levels, at least 2; sizes must be multiples of 2 ** num_downs.
        ngf: width of the first level; the next ones double.
        max_widening: up to this many times the first one's width.

    Raises:
        ValueError: only one of inputs and outputs is that of a mending network.
    """

    def __init__(
        self,
        input_nc: int = 6,
        output_nc: int = 3,
        num_downs: int = 6,
        ngf: int = 64,
        max_widening: int = 8,
    ):
        super().__init__()
        self.mends = input_nc == MENDING_INPUTS
        if self.mends != (output_nc == MENDING_OUTPUTS):
            raise ValueError(f"no network reads {input_nc} channels and makes {output_nc}")
        self.config = {
            "input_nc": input_nc,
            "output_nc": output_nc,
            "num_downs": num_downs,
            "ngf": ngf,
            "max_widening": max_widening,
        }
        widths = [ngf * min(2**level, max_widening) for level in range(num_downs)]
        deeper = None
        for level in range(num_downs - 1, 0, -1):
            deeper = Level(widths[level - 1], widths[level], widths[level - 1], deeper)
        self.model = Level(input_nc, widths[0], output_nc, deeper, outermost=True)
        if self.mends:
            # Training starts from the warped portrait as it is: what is worse than that at first
            # would only teach the network to keep out.
            nn.init.zeros_(self.model.model[-1].weight)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """(B, input_nc, H, W) BGR in 0-1 to (B, output_nc, H, W), for `painted` or `mended`."""
        return self.model(pictures)


def painted(output: torch.Tensor) -> torch.Tensor:
    """What a painting network's output (B, 3, H, W) looks like: BGR in 0-1."""
    return torch.tanh(output).clamp(min=0)


def mended(output: torch.Tensor, warped: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What a mending network's output means.

    Args:
        output: (B, 4, H, W).
        warped: (B, 3, H, W) BGR in 0-1, the portrait warped to the landmarks.

    Returns:
        Colours (B, 3, H, W) in 0-1, and their share (B, 1, H, W) of the frame; the rest of it is
        the warped portrait's.
    """
    colours = (warped + torch.tanh(output[:, :3])).clamp(0, 1)
    return colours, torch.sigmoid(output[:, 3:])
