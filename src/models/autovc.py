"""AutoVC: says a sentence again in the voice of somebody else (Qian et al. 2019 and 2020).

The layout and the names of the weights are those of MakeItTalk's published voice conversion.
"""

import math

import torch
from torch import nn

CONVOLUTION_WIDTH = 5
"""Frames that each convolution sees."""

NORM_GROUPS = 32
"""Groups of the group norms; widths it does not divide get the largest common divisor."""

MEL_NORM_GROUPS = 5
"""Groups of the post-net's last norm, over the 80 mel bands."""


def convolution(inputs: int, outputs: int, groups: int, gain: str) -> nn.Sequential:
    """Convolution along time and group norm: (B, inputs, T) to (B, outputs, T)."""
    return nn.Sequential(Convolution(inputs, outputs, gain), nn.GroupNorm(groups, outputs))


class Convolution(nn.Module):
    """Convolution along time that keeps the length: (B, inputs, T) to (B, outputs, T)."""

    def __init__(self, inputs: int, outputs: int, gain: str):
        super().__init__()
        self.conv = nn.Conv1d(
            inputs, outputs, CONVOLUTION_WIDTH, padding=(CONVOLUTION_WIDTH - 1) // 2
        )
        nn.init.xavier_uniform_(self.conv.weight, nn.init.calculate_gain(gain))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.conv(features)


class Linear(nn.Module):
    """Linear layer over the last dimension."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.linear_layer = nn.Linear(inputs, outputs)
        nn.init.xavier_uniform_(self.linear_layer.weight)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.linear_layer(features)


class Encoder(nn.Module):
    """What is said, squeezed to 2 x dim_neck numbers every `freq` frames."""

    def __init__(self, dim_neck: int, dim_emb: int, dim_pre: int, freq: int, mel: int):
        super().__init__()
        self.dim_neck = dim_neck
        self.freq = freq
        groups = math.gcd(NORM_GROUPS, dim_pre)
        self.convolutions = nn.ModuleList(
            convolution(mel + dim_emb if layer == 0 else dim_pre, dim_pre, groups, "relu")
            for layer in range(3)
        )
        self.lstm = nn.LSTM(dim_pre, dim_neck, 2, batch_first=True, bidirectional=True)

    def forward(self, mel: torch.Tensor, speaker: torch.Tensor) -> torch.Tensor:
        """(B, T, mel) and (B, dim_emb) to codes (B, T / freq, 2 * dim_neck)."""
        repeated = speaker.unsqueeze(-1).expand(-1, -1, mel.shape[1])
        features = torch.cat([mel.transpose(1, 2), repeated], dim=1)
        for layer in self.convolutions:
            features = torch.relu(layer(features))
        hidden, _ = self.lstm(features.transpose(1, 2))
        # Each direction is read where it has seen the whole stretch of frames.
        forward = hidden[:, self.freq - 1 :: self.freq, : self.dim_neck]
        backward = hidden[:, :: self.freq, self.dim_neck :]
        return torch.cat([forward, backward], dim=-1)


class Decoder(nn.Module):
    """Codes, target speaker and F0 back to a first log-mel."""

    def __init__(self, inputs: int, width: int, mel: int):
        super().__init__()
        self.lstm = nn.LSTM(inputs, width, 3, batch_first=True)
        self.linear_projection = Linear(width, mel)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.lstm(features)
        return self.linear_projection(hidden)


class Postnet(nn.Module):
    """What is to be added to the first log-mel: (B, T, mel) to (B, T, mel)."""

    def __init__(self, width: int, mel: int):
        super().__init__()
        groups = math.gcd(NORM_GROUPS, width)
        inner = [
            convolution(mel if layer == 0 else width, width, groups, "tanh") for layer in range(4)
        ]
        last = convolution(width, mel, math.gcd(MEL_NORM_GROUPS, mel), "linear")
        self.convolutions = nn.ModuleList([*inner, last])

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        features = mel.transpose(1, 2)
        for layer in self.convolutions[:-1]:
            features = torch.tanh(layer(features))
        return self.convolutions[-1](features).transpose(1, 2)


class Generator(nn.Module):
    """The whole voice conversion.

    Args:
        dim_neck: width of the code of one direction.
        dim_emb: width of a speaker embedding.
        dim_pre: width of the encoder's convolutions.
        freq: frames that share one code.
        mel: mel bands.
        f0: width of the one-hot F0.
        dim_decoder: width of the decoder's LSTM; dim_pre where None.
        dim_post: width of the post-net; dim_pre where None.
    """

    def __init__(
        self,
        dim_neck: int = 16,
        dim_emb: int = 256,
        dim_pre: int = 512,
        freq: int = 16,
        mel: int = 80,
        f0: int = 257,
        dim_decoder: int | None = None,
        dim_post: int | None = None,
    ):
        super().__init__()
        self.config = {
            "dim_neck": dim_neck,
            "dim_emb": dim_emb,
            "dim_pre": dim_pre,
            "freq": freq,
            "mel": mel,
            "f0": f0,
            "dim_decoder": dim_decoder,
            "dim_post": dim_post,
        }
        self.freq = freq
        self.encoder = Encoder(dim_neck, dim_emb, dim_pre, freq, mel)
        self.decoder = Decoder(2 * dim_neck + dim_emb + f0, dim_decoder or dim_pre, mel)
        self.postnet = Postnet(dim_post or dim_pre, mel)

    def forward(
        self,
        mel: torch.Tensor,
        c_org: torch.Tensor,
        f0_org: torch.Tensor | None = None,
        c_trg: torch.Tensor | None = None,
        f0_trg: torch.Tensor | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Convert log-mel spectrograms.

        Args:
            mel: (B, T, mel), T a multiple of `freq`.
            c_org: (B, dim_emb) embedding of who speaks.
            f0_org: (B, T, f0) one-hot F0 of who speaks: unused, the encoder never sees the pitch.
            c_trg: (B, dim_emb) embedding of who is to be heard; None for the code alone.
            f0_trg: (B, T, f0) one-hot F0 to be heard; f0_org where None.

        Returns:
            (B, T, mel) before and after the post-net, and the code (B, T / freq * 2 * dim_neck);
            the code alone where c_trg is None.

        Raises:
            ValueError: T is not a multiple of freq.
        """
        if mel.shape[1] % self.freq:
            raise ValueError(f"{mel.shape[1]} frames are not a multiple of {self.freq}")
        codes = self.encoder(mel, c_org)
        flat = codes.flatten(1)
        if c_trg is None:
            return flat
        target = c_trg.unsqueeze(1).expand(-1, mel.shape[1], -1)
        pitch = f0_org if f0_trg is None else f0_trg
        repeated = codes.repeat_interleave(self.freq, dim=1)
        first = self.decoder(torch.cat([repeated, target, pitch], dim=-1))
        return first, first + self.postnet(first), flat
