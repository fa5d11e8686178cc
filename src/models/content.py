"""The content branch: speech content moves the lips (paper section 4.1)."""

import torch
from torch import nn

from src.models.config import ContentConfig, EnsembleConfig
from src.models.dimensions import FACE_SIZE, MEL_BANDS

SLOPE = 0.2  # of the leaky rectifiers for negative values (published release)
HIDDEN = (512, 256)  # widths of the two layers after the LSTM (published release)


class ContentBranch(nn.Module):
    """Predicts the displacement of a face's landmarks from a window of speech and a static face."""

    def __init__(self, config: ContentConfig):
        super().__init__()
        self.config = config
        self.fc_prior = nn.Sequential(
            nn.Linear(MEL_BANDS, config.prior_hidden),
            nn.BatchNorm1d(config.prior_hidden),
            nn.LeakyReLU(SLOPE),
            nn.Linear(config.prior_hidden, config.prior),
        )
        # The name is the release's; the LSTM is not bidirectional.
        self.bilstm = nn.LSTM(
            config.prior,
            config.lstm_size,
            config.lstm_layers,
            dropout=config.dropout if config.lstm_layers > 1 else 0.0,
            batch_first=True,
        )
        first, second = HIDDEN
        self.fc = nn.Sequential(
            nn.Linear(config.lstm_size + FACE_SIZE, first),
            nn.BatchNorm1d(first),
            nn.LeakyReLU(SLOPE),
            nn.Linear(first, second),
            nn.BatchNorm1d(second),
            nn.LeakyReLU(SLOPE),
            nn.Linear(second, FACE_SIZE),
        )

    def forward(self, windows: torch.Tensor, face: torch.Tensor) -> torch.Tensor:
        """Predict displacements.

        Args:
            windows: (B, window, mel) standardised features.
            face: (B or 1, face) static face, normalised.

        Returns:
            (B, face) displacements in normalised coordinates.
        """
        batch, frames, mel = windows.shape
        features = self.fc_prior(windows.reshape(-1, mel)).reshape(batch, frames, -1)
        hidden, _ = self.bilstm(features)
        static = face.expand(batch, -1)
        return self.fc(torch.cat([hidden[:, -1], static], dim=-1))


class ContentEnsemble(nn.Module):
    """Ensemble of content branches. Averages the outputs of its members."""

    def __init__(self, config: EnsembleConfig):
        super().__init__()
        self.config = config
        self.members = nn.ModuleList(map(ContentBranch, config.members))

    def forward(self, windows: torch.Tensor, face: torch.Tensor) -> torch.Tensor:
        """As `ContentBranch.forward`."""
        return torch.stack([member(windows, face) for member in self.members]).mean(0)
