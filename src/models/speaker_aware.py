"""The speaker-aware branch: who speaks moves the head (paper section 4.2), and its discriminator.

The names of the weights are those of the published release.
"""

import math

import torch
from torch import nn

SLOPE = 0.02
"""Negative slope of the leaky rectifiers (published release)."""

EMBEDDING_GAIN = 3.0
"""What a unit-length speaker embedding is multiplied by before the network sees it."""

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
    """Features to the attention's width."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.embed = nn.Linear(inputs, width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.embed(features)


class PositionalEncoder(nn.Module):
    """Scales features (B, T, width) and adds the table of positions, which bounds T."""

    def __init__(self, width: int, length: int):
        super().__init__()
        self.gain = math.sqrt(width)
        self.register_buffer("pe", positional_table(length, width).unsqueeze(0))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features * self.gain + self.pe[:, : features.shape[1]]


class Norm(nn.Module):
    """Layer norm with the unbiased deviation, epsilon outside the root."""

    def __init__(self, width: int):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        centred = features - features.mean(-1, keepdim=True)
        deviation = features.std(-1, keepdim=True)
        return self.alpha * centred / (deviation + NORM_EPSILON) + self.bias


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
    """Two linear layers per frame."""

    def __init__(self, width: int, hidden: int, dropout: float):
        super().__init__()
        self.linear_1 = nn.Linear(width, hidden)
        self.dropout = nn.Dropout(dropout)
        self.linear_2 = nn.Linear(hidden, width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.linear_2(self.dropout(torch.relu(self.linear_1(features))))


class EncoderLayer(nn.Module):
    """Self-attention, then two linear layers, each added to its input and normed before."""

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
    """The attention encoder: (B, T, inputs) to (B, T, width), T at most `length`."""

    def __init__(
        self,
        inputs: int,
        width: int,
        layers: int,
        heads: int,
        hidden: int,
        dropout: float,
        length: int,
    ):
        super().__init__()
        self.embed = Embedder(inputs, width)
        self.pe = PositionalEncoder(width, length)
        self.layers = nn.ModuleList(
            EncoderLayer(width, heads, hidden, dropout) for _ in range(layers)
        )
        self.norm = Norm(width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        hidden = self.pe(self.embed(features))
        for layer in self.layers:
            hidden = layer(hidden)
        return self.norm(hidden)


class UnusedDecoderLayer(nn.Module):
    """Weights that the published checkpoint carries and no forward pass reads."""

    def __init__(self, width: int, heads: int, hidden: int):
        super().__init__()
        self.norm_1 = Norm(width)
        self.norm_2 = Norm(width)
        self.norm_3 = Norm(width)
        self.attn_1 = Attention(width, heads, 0.0)
        self.attn_2 = Attention(width, heads, 0.0)
        self.ff = FeedForward(width, hidden, 0.0)


class UnusedDecoder(nn.Module):
    """Weights that the published checkpoint carries and no forward pass reads."""

    def __init__(self, inputs: int, width: int, layers: int, heads: int, hidden: int, length: int):
        super().__init__()
        self.embed = Embedder(inputs, width)
        self.pe = PositionalEncoder(width, length)
        self.layers = nn.ModuleList(UnusedDecoderLayer(width, heads, hidden) for _ in range(layers))
        self.norm = Norm(width)


class SpeakerBranch(nn.Module):
    """Windows of speech and who speaks to the displacement of all landmarks, head motion included.

    Args:
        window: frames of a window.
        mel: mel bands of a frame.
        embedding: width of a speaker embedding.
        face: coordinates of a face, 3 x 68.
        audio_size: width of the LSTM over a window.
        audio_layers: its layers.
        audio_dropout: between its layers, in training.
        embedding_hidden: first width of the speaker's layers.
        encoding: width of the speaker encoding.
        z_size: width of the noise.
        model_size: width of the attention.
        layers: attention layers.
        heads: attention heads.
        feed_forward: hidden width of an attention layer's two linear layers.
        dropout: in the attention layers, in training.
        max_length: windows that one sequence may have.
        hidden: widths of the two layers before the output.
        unused_decoder: carry the weights that the published checkpoint has and nothing reads.
        window_lead: how many frames of a window lie before the frame that it speaks for; kept here
            so that a checkpoint says how its windows are to be cut. The network does not use it.
    """

    def __init__(
        self,
        window: int = 18,
        mel: int = 80,
        embedding: int = 256,
        face: int = 204,
        audio_size: int = 256,
        audio_layers: int = 3,
        audio_dropout: float = 0.0,
        embedding_hidden: int = 256,
        encoding: int = 128,
        z_size: int = 128,
        model_size: int = 64,
        layers: int = 2,
        heads: int = 2,
        feed_forward: int = 2048,
        dropout: float = 0.1,
        max_length: int = 512,
        hidden: tuple[int, int] = (512, 256),
        unused_decoder: bool = True,
        window_lead: int = 0,
    ):
        super().__init__()
        self.config = {
            "window": window,
            "mel": mel,
            "embedding": embedding,
            "face": face,
            "audio_size": audio_size,
            "audio_layers": audio_layers,
            "audio_dropout": audio_dropout,
            "embedding_hidden": embedding_hidden,
            "encoding": encoding,
            "z_size": z_size,
            "model_size": model_size,
            "layers": layers,
            "heads": heads,
            "feed_forward": feed_forward,
            "dropout": dropout,
            "max_length": max_length,
            "hidden": list(hidden),
            "unused_decoder": unused_decoder,
            "window_lead": window_lead,
        }
        self.window_lead = window_lead
        self.max_length = max_length
        self.z_size = z_size
        self.audio_content_encoder = nn.LSTM(
            mel, audio_size, audio_layers, dropout=audio_dropout, batch_first=True
        )
        self.spk_emb_encoder = perceptron((embedding, embedding_hidden, encoding, encoding))
        self.encoder = Encoder(
            audio_size + encoding + z_size,
            model_size,
            layers,
            heads,
            feed_forward,
            dropout,
            max_length,
        )
        if unused_decoder:
            self.decoder = UnusedDecoder(face, model_size, layers, heads, feed_forward, max_length)
        self.out = perceptron((model_size + z_size, *hidden, face))

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
        if leading[-1] > self.max_length:
            raise ValueError(f"{leading[-1]} windows, where {self.max_length} are the most")
        hidden, _ = self.audio_content_encoder(windows.reshape(-1, frames, mel))
        audio = hidden[:, -1].reshape(*leading, -1)
        speaker = self.spk_emb_encoder(embedding).expand(*leading, -1)
        if z is None:
            z = audio.new_zeros(*leading, self.z_size)
        features = torch.cat([audio, speaker, z], dim=-1)
        if len(leading) == 1:
            attended = self.encoder(features.unsqueeze(0)).squeeze(0)
        else:
            attended = self.encoder(features)
        return self.out(torch.cat([attended, z], dim=-1)), speaker


class MotionDiscriminator(nn.Module):
    """How true the motion of a window of frames looks for a speaker (least-squares GAN).

    Args:
        face: coordinates of a face, 3 x 68.
        encoding: width of the speaker encoding.
        model_size, layers, heads, feed_forward, dropout: the attention, as in `SpeakerBranch`.
        hidden: widths of the layers after the maximum over time.
        window: frames that are judged together.
    """

    def __init__(
        self,
        face: int = 204,
        encoding: int = 128,
        model_size: int = 64,
        layers: int = 2,
        heads: int = 2,
        feed_forward: int = 2048,
        dropout: float = 0.1,
        hidden: tuple[int, int] = (512, 256),
        window: int = 64,
    ):
        super().__init__()
        self.config = {
            "face": face,
            "encoding": encoding,
            "model_size": model_size,
            "layers": layers,
            "heads": heads,
            "feed_forward": feed_forward,
            "dropout": dropout,
            "hidden": list(hidden),
            "window": window,
        }
        self.window = window
        self.encoder = Encoder(
            face + encoding, model_size, layers, heads, feed_forward, dropout, window
        )
        self.out = perceptron((model_size, *hidden, 1))

    def forward(
        self, landmarks: torch.Tensor, encoding: torch.Tensor, step: int = 32
    ) -> torch.Tensor:
        """Judge the windows of a sequence.

        Args:
            landmarks: (T, face) or (B, T, face) displaced landmarks, T at least `window`.
            encoding: (T or 1, encoding) or (B, T or 1, encoding) of who speaks.
            step: frames from one window to the next.

        Returns:
            (N,) or (B, N) scores, N = (T - window) // step + 1; 1 is true, 0 is made up.

        Raises:
            ValueError: fewer frames than a window.
        """
        if landmarks.shape[-2] < self.window:
            raise ValueError(f"{landmarks.shape[-2]} frames, where {self.window} are the least")
        speaker = encoding.expand(*landmarks.shape[:-1], -1)
        features = torch.cat([landmarks, speaker], dim=-1)
        windows = features.unfold(-2, self.window, step).transpose(-1, -2)
        leading = windows.shape[:-2]
        attended = self.encoder(windows.reshape(-1, *windows.shape[-2:]))
        return self.out(attended.amax(dim=1)).reshape(leading)
