"""Augmentation of voices."""

import pytest
import torch

from src.data.augmentation import VoiceAugmentation


def test_augmentation_of_no_strength_changes_nothing():
    mel = torch.rand(3, 40, 80)
    changed = VoiceAugmentation(torch.Generator().manual_seed(0), strength=0.0)(mel)
    assert torch.allclose(changed, mel, atol=1e-5)


def test_a_shorter_vocal_tract_moves_a_formant_up():
    augment = VoiceAugmentation(torch.Generator().manual_seed(0))
    mel = torch.zeros(1, 4, 80)
    mel[..., 30] = 1.0
    higher = augment._warp_frequencies(mel, torch.tensor([1.15]))
    ratio = augment.centres[higher[0, 0].argmax()] / augment.centres[30]
    assert ratio.item() == pytest.approx(1.15, abs=0.05)
