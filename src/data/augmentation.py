"""Augmentation of log-mel spectrograms: other vocal tracts, microphones and rooms."""

from __future__ import annotations

import math

import torch

from src.models.dimensions import MEL_BANDS
from src.speech.mel import DYNAMIC_RANGE, MEL_RANGE

TRACT_RANGE = (0.84, 1.19)  # factor on all frequencies: vocal tract lengths of adults
EQUALISER_DB = 6.0  # std of the random tilt and bumps of microphone and room
GAIN_DB = 4.0
NOISE_PROBABILITY = 0.4
NOISE_DB = (-55.0, -20.0)  # level of added noise relative to the loudest band of the utterance

# Slaney's mel scale: linear up to the knee, logarithmic above.
SLANEY_LINEAR = 200.0 / 3.0  # Hz for one mel
SLANEY_KNEE = 1000.0  # Hz
SLANEY_LOG = math.log(6.4) / 27.0


def mel_centres() -> torch.Tensor:
    """(80,) centre frequencies of the mel bands in Hz, without librosa, which trainings lack."""
    knee = SLANEY_KNEE / SLANEY_LINEAR
    lowest = MEL_RANGE[0] / SLANEY_LINEAR
    highest = knee + math.log(MEL_RANGE[1] / SLANEY_KNEE) / SLANEY_LOG
    mels = torch.linspace(lowest, highest, MEL_BANDS + 2)[1:-1]
    above = SLANEY_KNEE * torch.exp(SLANEY_LOG * (mels - knee))
    return torch.where(mels < knee, mels * SLANEY_LINEAR, above)


class VoiceAugmentation:
    """Random vocal tract length, equaliser, gain and noise for each item of a batch.

    Args:
        generator: source of randomness; the same seed gives the same augmentation.
        strength: 0 changes nothing, 1 uses the full ranges above.
    """

    def __init__(self, generator: torch.Generator, strength: float = 1.0):
        self.generator = generator
        self.strength = strength
        self.centres = mel_centres()

    def __call__(self, mel: torch.Tensor) -> torch.Tensor:
        """(B, T, 80) log-mel, where 1.0 is 100 dB -> (B, T, 80); constant over each item."""
        factor = self._uniform(len(mel), *TRACT_RANGE) ** self.strength
        warped = self._warp_frequencies(mel, factor)
        return self._add_noise(warped + self._equaliser(len(mel))[:, None])

    def _uniform(self, count: int, low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(count, generator=self.generator)

    def _normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=self.generator)

    def _warp_frequencies(self, mel: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        sources = self.centres[None] / factor[:, None]
        right = torch.searchsorted(self.centres, sources).clamp(1, MEL_BANDS - 1)
        below, above = self.centres[right - 1], self.centres[right]
        weight = ((sources - below) / (above - below)).clamp(0.0, 1.0)[:, None]
        index = right[:, None].expand(-1, mel.shape[1], -1)
        return mel.gather(2, index - 1) * (1 - weight) + mel.gather(2, index) * weight

    def _equaliser(self, batch: int) -> torch.Tensor:
        """(B, 80): a gain, a tilt and a few broad bumps over the bands."""
        band = torch.linspace(-1.0, 1.0, MEL_BANDS)
        curve = GAIN_DB * self._normal(batch, 1)
        for order in (1, 2, 3, 5):
            phase = 6.2832 * torch.rand(batch, 1, generator=self.generator)
            wave = torch.cos(1.5708 * order * band[None] + phase)
            curve = curve + EQUALISER_DB / order**0.5 / 2 * self._normal(batch, 1) * wave
        return self.strength * curve / DYNAMIC_RANGE

    def _add_noise(self, mel: torch.Tensor) -> torch.Tensor:
        batch, frames, bands = mel.shape
        level = self._uniform(batch, *NOISE_DB) / DYNAMIC_RANGE
        chosen = torch.rand(batch, generator=self.generator) < NOISE_PROBABILITY * self.strength
        tilt = self._normal(batch, 1) * 0.08 * torch.linspace(-1.0, 1.0, bands)
        noise = (mel.amax(dim=(1, 2)) + level)[:, None, None] + tilt[:, None]
        noise = noise + 0.04 * self._normal(batch, frames, bands)
        # Powers add; 1.0 of log-mel is DYNAMIC_RANGE decibels.
        scale = DYNAMIC_RANGE / 10.0 * 2.302585
        mixed = torch.logaddexp(mel * scale, noise * scale) / scale
        return torch.where(chosen[:, None, None], mixed, mel)
