"""The speaker-aware branch, which also predicts head motion (paper section 4.2), and its
discriminator.

The names of the weights are those of the published release.
"""

import math

import torch
from torch import nn

from src.models.config import MotionDiscriminatorConfig, SpeakerConfig
from src.models.dimensions import FACE_SIZE

SLOPE = 0.02
"""Negative slope of the leaky rectifiers (published release)."""

EMBEDDING_GAIN = 3.0
"""Factor on the unit-length speaker embedding that the network receives (published release)."""

NORM_EPSILON = 1e-6


def positional_table(length: int, width: int) -> torch.Tensor:
    """(length, width) sines and cosines of the position, with the release's exponents."""
    position = torch.arange(length, dtype=torch.float64).unsqueeze(1)
    index = torch.arange(width, dtype=torch.float64)
    angle = position / 10000.0 ** (2 * index / width)
    table = torch.where(index % 2 == 0, torch.sin(angle), torch.cos(angle))
    return table.float()


def perceptron(widths: tuple[int, ...]) -> nn.Sequential:
    """Linear layers with leaky rectifiers between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers[:-1])


class Embedder(nn.Module):
    """Linear projection of features to the attention's width."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.embed = nn.Linear(inputs, width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.embed(features)


class PositionalEncoder(nn.Module):
    """Scales features (B, T, width) and adds the positional encoding, whose length bounds T."""

    def __init__(self, width: int, length: int):
        super().__init__()
        self.gain = math.sqrt(width)
        self.register_buffer("pe", positional_table(length, width).unsqueeze(0))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features * self.gain + self.pe[:, : features.shape[1]]


class Norm(nn.Module):
    """Layer norm with the unbiased standard deviation, epsilon outside the root."""

    def __init__(self, width: int):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        centred = features - features.mean(-1, keepdim=True)
        std = features.std(-1, keepdim=True)
        return self.alpha * centred / (std + NORM_EPSILON) + self.bias


class Attention(nn.Module):
    """Multi-head attention, (B, T, width) to (B, T, width)."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.q_linear = nn.Linear(width, width)
        self.v_linear = nn.Linear(width, width)
        self.k_linear = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, query: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        attended = nn.functional.scaled_dot_product_attention(
            self._split(self.q_linear(query)),
            self._split(self.k_linear(memory)),
            self._split(self.v_linear(memory)),
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.out(attended.transpose(1, 2).flatten(2))

    def _split(self, features: torch.Tensor) -> torch.Tensor:
        """(B, T, width) to (B, heads, T, width / heads)."""
        return features.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Module):
    """Two linear layers applied to each frame."""

    def __init__(self, width: int, hidden: int, dropout: float):
        super().__init__()
        self.linear_1 = nn.Linear(width, hidden)
        self.dropout = nn.Dropout(dropout)
        self.linear_2 = nn.Linear(hidden, width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.linear_2(self.dropout(torch.relu(self.linear_1(features))))


class EncoderLayer(nn.Module):
    """Self-attention, then two linear layers; pre-norm, each with a residual connection."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float):
        super().__init__()
        self.norm_1 = Norm(width)
        self.norm_2 = Norm(width)
        self.attn = Attention(width, heads, dropout)
        self.ff = FeedForward(width, hidden, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        normed = self.norm_1(features)
        features = features + self.dropout(self.attn(normed, normed))
        return features + self.dropout(self.ff(self.norm_2(features)))


class Encoder(nn.Module):
    """The attention encoder: (B, T, inputs) to (B, T, model_size), T at most `length`."""

    def __init__(self, inputs: int, config: SpeakerConfig | MotionDiscriminatorConfig, length: int):
        super().__init__()
        self.embed = Embedder(inputs, config.model_size)
        self.pe = PositionalEncoder(config.model_size, length)
        self.layers = nn.ModuleList(
            EncoderLayer(config.model_size, config.heads, config.feed_forward, config.dropout)
            for _ in range(config.layers)
        )
        self.norm = Norm(config.model_size)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        hidden = self.pe(self.embed(features))
        for layer in self.layers:
            hidden = layer(hidden)
        return self.norm(hidden)


class SpeakerBranch(nn.Module):
    """Predicts the displacement of all landmarks, head motion included, for one speaker."""

    unused = ("comb_mlp.", "decoder.")
    """Prefixes of weights in the published checkpoint that no forward pass reads."""

    def __init__(self, config: SpeakerConfig):
        super().__init__()
        self.config = config
        self.audio_content_encoder = nn.LSTM(
            config.mel,
            config.audio_size,
            config.audio_layers,
            dropout=config.audio_dropout,
            batch_first=True,
        )
        self.spk_emb_encoder = perceptron(
            (config.embedding, config.embedding_hidden, config.encoding, config.encoding)
        )
        inputs = config.audio_size + config.encoding + config.z_size
        self.encoder = Encoder(inputs, config, config.max_length)
        self.out = perceptron((config.model_size + config.z_size, *config.hidden, config.face))

    def forward(
        self, windows: torch.Tensor, embedding: torch.Tensor, z: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Displacements of one sequence of windows, or of a batch of sequences.

        Args:
            windows: (T, window, mel) or (B, T, window, mel) standardised features, T at most
                `max_length`.
            embedding: (T or 1, embedding) or (B, T or 1, embedding), unit length times
                `EMBEDDING_GAIN`.
            z: (T, z_size) or (B, T, z_size) noise; zeros where None.

        Returns:
            (T, face) or (B, T, face) displacements in normalised coordinates, and the speaker
            encoding (T, encoding) or (B, T, encoding).

        Raises:
            ValueError: more than `max_length` windows.
        """
        *leading, frames, mel = windows.shape
        if leading[-1] > self.config.max_length:
            raise ValueError(f"{leading[-1]} windows, expected at most {self.config.max_length}")
        hidden, _ = self.audio_content_encoder(windows.reshape(-1, frames, mel))
        audio = hidden[:, -1].reshape(*leading, -1)
        speaker = self.spk_emb_encoder(embedding).expand(*leading, -1)
        if z is None:
            z = audio.new_zeros(*leading, self.config.z_size)
        features = torch.cat([audio, speaker, z], dim=-1)
        if len(leading) == 1:
            attended = self.encoder(features.unsqueeze(0)).squeeze(0)
        else:
            attended = self.encoder(features)
        return self.out(torch.cat([attended, z], dim=-1)), speaker


class MotionDiscriminator(nn.Module):
    """Scores how real a speaker's motion looks, window by window (least-squares GAN)."""

    def __init__(self, config: MotionDiscriminatorConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(FACE_SIZE + config.encoding, config, config.window)
        self.out = perceptron((config.model_size, *config.hidden, 1))

    def forward(
        self, landmarks: torch.Tensor, encoding: torch.Tensor, step: int = 32
    ) -> torch.Tensor:
        """Score the windows of a sequence.

        Args:
            landmarks: (T, face) or (B, T, face) displaced landmarks, T at least `window`.
            encoding: (T or 1, encoding) or (B, T or 1, encoding) of the speaker.
            step: frames from one window to the next.

        Returns:
            (N,) or (B, N) scores, N = (T - window) // step + 1: 1 for real motion, 0 for
            generated motion.

        Raises:
            ValueError: fewer frames than a window.
        """
        window = self.config.window
        if landmarks.shape[-2] < window:
            raise ValueError(f"{landmarks.shape[-2]} frames, expected at least {window}")
        speaker = encoding.expand(*landmarks.shape[:-1], -1)
        features = torch.cat([landmarks, speaker], dim=-1)
        windows = features.unfold(-2, window, step).transpose(-1, -2)
        leading = windows.shape[:-2]
        attended = self.encoder(windows.reshape(-1, *windows.shape[-2:]))
        return self.out(attended.amax(dim=1)).reshape(leading)
