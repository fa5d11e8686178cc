"""AutoVC, voice conversion with an autoencoder (Qian et al. 2019; F0-conditioned: 2020).

The layout and the names of the weights are those of MakeItTalk's published voice conversion.
"""

import math
from collections import OrderedDict

import torch
from torch import nn

from src.models.config import AutoVCConfig
from src.models.dimensions import EMBEDDING_SIZE, F0_BINS, MEL_BANDS

CONVOLUTION_WIDTH = 5  # frames
NORM_GROUPS = 32  # widths that are no multiple use the greatest common divisor
MEL_NORM_GROUPS = 5  # of the post-net's last norm, over the mel bands


def convolution(inputs: int, outputs: int, groups: int, gain: str) -> nn.Sequential:
    """Convolution along time and group norm: (B, inputs, T) to (B, outputs, T)."""
    conv = nn.Conv1d(inputs, outputs, CONVOLUTION_WIDTH, padding="same")
    nn.init.xavier_uniform_(conv.weight, nn.init.calculate_gain(gain))
    named = nn.Sequential(OrderedDict(conv=conv))
    return nn.Sequential(named, nn.GroupNorm(math.gcd(groups, outputs), outputs))


class Encoder(nn.Module):
    """Content encoder with a bottleneck of 2 x dim_neck numbers every `freq` frames."""

    def __init__(self, config: AutoVCConfig):
        super().__init__()
        self.dim_neck, self.freq = config.dim_neck, config.freq
        width = config.dim_pre
        self.convolutions = nn.ModuleList(
            convolution(inputs, width, NORM_GROUPS, "relu")
            for inputs in (MEL_BANDS + EMBEDDING_SIZE, width, width)
        )
        self.lstm = nn.LSTM(width, config.dim_neck, 2, batch_first=True, bidirectional=True)

    def forward(self, mel: torch.Tensor, speaker: torch.Tensor) -> torch.Tensor:
        """(B, T, 80) and (B, 256) to codes (B, T / freq, 2 * dim_neck)."""
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

    def __init__(self, config: AutoVCConfig):
        super().__init__()
        inputs = 2 * config.dim_neck + EMBEDDING_SIZE + F0_BINS
        width = config.dim_decoder or config.dim_pre
        self.lstm = nn.LSTM(inputs, width, 3, batch_first=True)
        linear = nn.Linear(width, MEL_BANDS)
        nn.init.xavier_uniform_(linear.weight)
        self.linear_projection = nn.Sequential(OrderedDict(linear_layer=linear))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.lstm(features)
        return self.linear_projection(hidden)


class Postnet(nn.Module):
    """Residual of the decoder's log-mel: (B, T, 80) to (B, T, 80)."""

    def __init__(self, width: int):
        super().__init__()
        self.convolutions = nn.ModuleList(
            convolution(inputs, width, NORM_GROUPS, "tanh")
            for inputs in (MEL_BANDS, width, width, width)
        )
        self.convolutions.append(convolution(width, MEL_BANDS, MEL_NORM_GROUPS, "linear"))

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
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.postnet = Postnet(config.dim_post or config.dim_pre)

    def forward(
        self,
        mel: torch.Tensor,
        source: torch.Tensor,
        target: torch.Tensor | None = None,
        f0: torch.Tensor | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Convert log-mel spectrograms.

        Args:
            mel: (B, T, 80), T a multiple of `freq`.
            source: (B, 256) embedding of the source speaker.
            target: (B, 256) embedding of the target speaker; None for the code alone.
            f0: (B, T, 257) one-hot F0 of the output, if a target is given.

        Returns:
            (B, T, 80) before and after the post-net, and the code (B, T / freq * 2 * dim_neck);
            the code alone where no target is given.

        Raises:
            ValueError: T is not a multiple of freq.
        """
        frames = mel.shape[1]
        if frames % self.config.freq:
            raise ValueError(f"{frames} frames are not a multiple of {self.config.freq}")
        codes = self.encoder(mel, source)
        if target is None:
            return codes.flatten(1)
        speaker = target.unsqueeze(1).expand(-1, frames, -1)
        repeated = codes.repeat_interleave(self.config.freq, dim=1)
        first = self.decoder(torch.cat([repeated, speaker, f0], dim=-1))
        return first, first + self.postnet(first), codes.flatten(1)
