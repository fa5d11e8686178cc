"""The speaker-aware branch, which also predicts head motion (paper section 4.2)."""

import math
from collections import OrderedDict

import torch
from torch import nn

from src.models.config import SpeakerConfig
from src.models.dimensions import EMBEDDING_SIZE, FACE_SIZE, MEL_BANDS

EMBEDDING_GAIN = 3.0
"""Factor on the unit-length speaker embedding that the network receives (published release)."""

# Sizes of the published release
ENCODING = 128  # width of the speaker encoding
NOISE = 128  # width of the noise, which is zero in training and inference
MODEL_SIZE = 64  # width of the attention
HEADS = 2
LAYERS = 2  # of attention
HIDDEN = (512, 256)  # widths of the layers before the output

SLOPE = 0.02  # of the leaky rectifiers for negative values (published release)
NORM_EPSILON = 1e-6  # (published release)

# The discriminator's windows, in frames
SCORED_FRAMES = 64
SCORE_STEP = 32  # from one window to the next


def perceptron(*widths: int) -> nn.Sequential:
    """Linear layers with leaky rectifiers between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers[:-1])


class PositionalEncoder(nn.Module):
    """Scales features (B, T, width) and adds the positional encoding, whose length bounds T.

    The encoding is sines and cosines of the position, with the release's exponents.
    """

    def __init__(self, length: int):
        super().__init__()
        position = torch.arange(length, dtype=torch.float64).unsqueeze(1)
        index = torch.arange(MODEL_SIZE, dtype=torch.float64)
        angle = position / 10000.0 ** (2 * index / MODEL_SIZE)
        table = torch.where(index % 2 == 0, torch.sin(angle), torch.cos(angle))
        self.register_buffer("pe", table.float().unsqueeze(0))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features * math.sqrt(MODEL_SIZE) + self.pe[:, : features.shape[1]]


class Norm(nn.Module):
    """Layer norm with the unbiased standard deviation, epsilon outside the root."""

    def __init__(self):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(MODEL_SIZE))
        self.bias = nn.Parameter(torch.zeros(MODEL_SIZE))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        centred = features - features.mean(-1, keepdim=True)
        std = features.std(-1, keepdim=True)
        return self.alpha * centred / (std + NORM_EPSILON) + self.bias


class Attention(nn.Module):
    """Multi-head self-attention, (B, T, width) to (B, T, width)."""

    def __init__(self, dropout: float):
        super().__init__()
        self.dropout = dropout
        self.q_linear = nn.Linear(MODEL_SIZE, MODEL_SIZE)
        self.v_linear = nn.Linear(MODEL_SIZE, MODEL_SIZE)
        self.k_linear = nn.Linear(MODEL_SIZE, MODEL_SIZE)
        self.out = nn.Linear(MODEL_SIZE, MODEL_SIZE)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        layers = (self.q_linear, self.k_linear, self.v_linear)
        attended = nn.functional.scaled_dot_product_attention(
            *(layer(features).unflatten(-1, (HEADS, -1)).transpose(1, 2) for layer in layers),
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.out(attended.transpose(1, 2).flatten(2))


class EncoderLayer(nn.Module):
    """Self-attention, then two linear layers; pre-norm, each with a residual connection."""

    def __init__(self, hidden: int, dropout: float):
        super().__init__()
        self.norm_1 = Norm()
        self.norm_2 = Norm()
        self.attn = Attention(dropout)
        self.ff = nn.Sequential(
            OrderedDict(
                linear_1=nn.Linear(MODEL_SIZE, hidden),
                relu=nn.ReLU(),
                dropout=nn.Dropout(dropout),
                linear_2=nn.Linear(hidden, MODEL_SIZE),
            )
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        features = features + self.dropout(self.attn(self.norm_1(features)))
        return features + self.dropout(self.ff(self.norm_2(features)))


class Encoder(nn.Sequential):
    """The attention encoder: (B, T, inputs) to (B, T, MODEL_SIZE), T at most `length`."""

    def __init__(self, inputs: int, config: SpeakerConfig, length: int):
        super().__init__()
        self.embed = nn.Sequential(OrderedDict(embed=nn.Linear(inputs, MODEL_SIZE)))
        self.pe = PositionalEncoder(length)
        self.layers = nn.Sequential(
            *(EncoderLayer(config.feed_forward, config.dropout) for _ in range(LAYERS))
        )
        self.norm = Norm()


class SpeakerBranch(nn.Module):
    """Predicts the displacement of all landmarks, head motion included, for one speaker."""

    unused = ("comb_mlp.", "decoder.")
    """Prefixes of weights in the published checkpoint that no forward pass reads."""

    def __init__(self, config: SpeakerConfig):
        super().__init__()
        self.config = config
        self.audio_content_encoder = nn.LSTM(
            MEL_BANDS, config.audio_size, config.audio_layers, batch_first=True
        )
        self.spk_emb_encoder = perceptron(EMBEDDING_SIZE, 256, ENCODING, ENCODING)
        inputs = config.audio_size + ENCODING + NOISE
        self.encoder = Encoder(inputs, config, config.max_length)
        self.out = perceptron(MODEL_SIZE + NOISE, *HIDDEN, FACE_SIZE)

    def forward(
        self, windows: torch.Tensor, embedding: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Displacements of one sequence of windows, or of a batch of sequences.

        Args:
            windows: (T, window, 80) or (B, T, window, 80) standardised features, T at most
                `max_length`.
            embedding: (T or 1, 256) or (B, T or 1, 256), unit length times `EMBEDDING_GAIN`.

        Returns:
            (T, 204) or (B, T, 204) displacements in normalised coordinates, and the speaker
            encoding (T, 128) or (B, T, 128).

        Raises:
            ValueError: more than `max_length` windows.
        """
        *leading, frames, mel = windows.shape
        if leading[-1] > self.config.max_length:
            raise ValueError(f"{leading[-1]} windows, expected at most {self.config.max_length}")
        hidden, _ = self.audio_content_encoder(windows.reshape(-1, frames, mel))
        audio = hidden[:, -1].reshape(*leading, -1)
        speaker = self.spk_emb_encoder(embedding).expand(*leading, -1)
        noise = audio.new_zeros(*leading, NOISE)
        features = torch.cat([audio, speaker, noise], dim=-1)
        attended = self.encoder(features.reshape(-1, *features.shape[-2:])).reshape(*leading, -1)
        return self.out(torch.cat([attended, noise], dim=-1)), speaker


class MotionDiscriminator(nn.Module):
    """Scores how real a speaker's motion looks, window by window (least-squares GAN).

    Args:
        config: of the network that it is trained against; its attention has the same sizes.
    """

    def __init__(self, config: SpeakerConfig):
        super().__init__()
        self.encoder = Encoder(FACE_SIZE + ENCODING, config, SCORED_FRAMES)
        self.out = perceptron(MODEL_SIZE, *HIDDEN, 1)

    def forward(self, landmarks: torch.Tensor, encoding: torch.Tensor) -> torch.Tensor:
        """Score the windows of a sequence.

        Args:
            landmarks: (T, 204) or (B, T, 204) displaced landmarks, T at least `SCORED_FRAMES`.
            encoding: (T or 1, 128) or (B, T or 1, 128) of the speaker.

        Returns:
            (N,) or (B, N) scores, N = (T - SCORED_FRAMES) // SCORE_STEP + 1: 1 for real motion, 0
            for generated motion.
        """
        speaker = encoding.expand(*landmarks.shape[:-1], -1)
        features = torch.cat([landmarks, speaker], dim=-1)
        windows = features.unfold(-2, SCORED_FRAMES, SCORE_STEP).transpose(-1, -2)
        leading = windows.shape[:-2]
        attended = self.encoder(windows.reshape(-1, *windows.shape[-2:]))
        return self.out(attended.amax(dim=1)).reshape(leading)
