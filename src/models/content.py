"""The content branch: what is said moves the lips (paper section 4.1)."""

import torch
from torch import nn

from src.face.topology import LIPS, RIGID_POINTS

SLOPE = 0.2
"""Negative slope of the leaky rectifiers (published release)."""


class ContentBranch(nn.Module):
    """A window of speech and a static face to the displacement of the face's landmarks.

    Args:
        window: frames of a window.
        mel: mel bands of a frame.
        face: coordinates of a face, 3 x 68.
        prior_hidden: hidden width of the layers that each frame goes through alone.
        prior: their output width.
        lstm_size: width of the LSTM.
        lstm_layers: its layers.
        dropout: between its layers, in training.
        hidden: widths of the two layers after it.
        window_lead: how many frames of a window lie before the frame that it speaks for; kept here
            so that a checkpoint says how its windows are to be cut. The network does not use it.
    """

    def __init__(
        self,
        window: int = 18,
        mel: int = 80,
        face: int = 204,
        prior_hidden: int = 256,
        prior: int = 161,
        lstm_size: int = 256,
        lstm_layers: int = 3,
        dropout: float = 0.5,
        hidden: tuple[int, int] = (512, 256),
        window_lead: int = 0,
    ):
        super().__init__()
        self.config = {
            "window": window,
            "mel": mel,
            "face": face,
            "prior_hidden": prior_hidden,
            "prior": prior,
            "lstm_size": lstm_size,
            "lstm_layers": lstm_layers,
            "dropout": dropout,
            "hidden": list(hidden),
            "window_lead": window_lead,
        }
        self.window_lead = window_lead
        self.fc_prior = nn.Sequential(
            nn.Linear(mel, prior_hidden),
            nn.BatchNorm1d(prior_hidden),
            nn.LeakyReLU(SLOPE),
            nn.Linear(prior_hidden, prior),
        )
        # The name is the release's; the LSTM looks one way only.
        self.bilstm = nn.LSTM(
            prior,
            lstm_size,
            lstm_layers,
            dropout=dropout if lstm_layers > 1 else 0.0,
            batch_first=True,
        )
        self.fc = nn.Sequential(
            nn.Linear(lstm_size + face, hidden[0]),
            nn.BatchNorm1d(hidden[0]),
            nn.LeakyReLU(SLOPE),
            nn.Linear(hidden[0], hidden[1]),
            nn.BatchNorm1d(hidden[1]),
            nn.LeakyReLU(SLOPE),
            nn.Linear(hidden[1], face),
        )

    def forward(self, windows: torch.Tensor, face: torch.Tensor) -> torch.Tensor:
        """(B, window, mel) standardised features and (B or 1, face) static face, normalised, to
        (B, face) displacements in normalised coordinates."""
        batch, frames, mel = windows.shape
        features = self.fc_prior(windows.reshape(-1, mel)).reshape(batch, frames, -1)
        hidden, _ = self.bilstm(features)
        static = face.expand(batch, -1)
        return self.fc(torch.cat([hidden[:, -1], static], dim=-1))


def scale_lips(network: ContentBranch, gain: float) -> None:
    """Make a network move the lips up and down `gain` times as far, in place."""
    _scale_output(network, [3 * point + 1 for point in range(LIPS.start, LIPS.stop)], gain)


def hold_skull(network: ContentBranch) -> None:
    """Make a network leave the points still that move with the skull only, in place.

    In the faces that it learns from, which are laid on each other by those points, they have noise
    and no motion; what moves them in a video would turn the head.
    """
    _scale_output(network, [3 * point + axis for point in RIGID_POINTS for axis in range(3)], 0.0)


def _scale_output(network: ContentBranch, coordinates: list[int], factor: float) -> None:
    with torch.no_grad():
        network.fc[-1].weight[coordinates] *= factor
        network.fc[-1].bias[coordinates] *= factor


def restandardise(
    network: ContentBranch,
    own: tuple[torch.Tensor, torch.Tensor],
    given: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """Make a network take features standardised otherwise than those it learned from, in place.

    Args:
        own: mean and deviation (mel,) of the features that it learned from.
        given: those that its features will be standardised with.
    """
    first = network.fc_prior[0]
    (own_mean, own_deviation), (mean, deviation) = own, given
    with torch.no_grad():
        first.bias += first.weight @ ((mean - own_mean) / own_deviation)
        first.weight *= deviation / own_deviation
