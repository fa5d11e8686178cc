"""AutoVC, voice conversion with an autoencoder (Qian et al. 2019; F0-conditioned: 2020).

The layout and the names of the weights are those of MakeItTalk's published voice conversion.
"""

import math

import torch
from torch import nn

from src.models.config import AutoVCConfig

CONVOLUTION_WIDTH = 5
"""Kernel size of the convolutions, in frames."""

NORM_GROUPS = 32
"""Groups of the group norms; widths that are no multiple use the greatest common divisor."""

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
    """Content encoder with a bottleneck of 2 x dim_neck numbers every `freq` frames."""

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
        # Each direction is sampled where it has read all frames that share the code.
        forward = hidden[:, self.freq - 1 :: self.freq, : self.dim_neck]
        backward = hidden[:, :: self.freq, self.dim_neck :]
        return torch.cat([forward, backward], dim=-1)


class Decoder(nn.Module):
    """Decodes codes, target speaker and F0 into a log-mel spectrogram, before the post-net."""

    def __init__(self, inputs: int, width: int, mel: int):
        super().__init__()
        self.lstm = nn.LSTM(inputs, width, 3, batch_first=True)
        self.linear_projection = Linear(width, mel)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.lstm(features)
        return self.linear_projection(hidden)


class Postnet(nn.Module):
    """Residual of the decoder's log-mel: (B, T, mel) to (B, T, mel)."""

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


class AutoVC(nn.Module):
    """Voice conversion: the content of one recording in the voice of another speaker."""

    def __init__(self, config: AutoVCConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(
            config.dim_neck, config.dim_emb, config.dim_pre, config.freq, config.mel
        )
        self.decoder = Decoder(
            2 * config.dim_neck + config.dim_emb + config.f0,
            config.dim_decoder or config.dim_pre,
            config.mel,
        )
        self.postnet = Postnet(config.dim_post or config.dim_pre, config.mel)

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
            c_org: (B, dim_emb) embedding of the source speaker.
            f0_org: (B, T, f0) one-hot F0 of the source; used only where f0_trg is None.
            c_trg: (B, dim_emb) embedding of the target speaker; None for the code alone.
            f0_trg: (B, T, f0) one-hot F0 of the output.

        Returns:
            (B, T, mel) before and after the post-net, and the code (B, T / freq * 2 * dim_neck);
            the code alone where c_trg is None.

        Raises:
            ValueError: T is not a multiple of freq.
        """
        if mel.shape[1] % self.config.freq:
            raise ValueError(f"{mel.shape[1]} frames are not a multiple of {self.config.freq}")
        codes = self.encoder(mel, c_org)
        flat = codes.flatten(1)
        if c_trg is None:
            return flat
        target = c_trg.unsqueeze(1).expand(-1, mel.shape[1], -1)
        pitch = f0_org if f0_trg is None else f0_trg
        repeated = codes.repeat_interleave(self.config.freq, dim=1)
        first = self.decoder(torch.cat([repeated, target, pitch], dim=-1))
        return first, first + self.postnet(first), flat
