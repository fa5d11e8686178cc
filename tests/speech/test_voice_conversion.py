"""Voice conversion: padding and length."""

import numpy as np

from src.speech.f0 import f0_one_hot
from src.speech.voice_conversion import convert_voice


def test_conversion_pads_to_a_multiple_and_gives_every_frame_back():
    import torch

    from src.models.autovc import AutoVC
    from src.models.config import AutoVCConfig

    torch.manual_seed(0)
    generator = AutoVC(AutoVCConfig(dim_neck=4, dim_pre=32, freq=16)).eval()
    rng = np.random.default_rng(0)
    mel = rng.random((75, 80), np.float32)
    bins = rng.integers(0, 257, 75)
    source, target = rng.random((2, 256), np.float32)
    converted = convert_voice(generator, mel, bins, source, target)
    assert converted.shape == (75, 80)
    padded = np.pad(mel, ((0, 21), (0, 0)))
    one_hot = np.pad(f0_one_hot(bins), ((0, 21), (0, 0)))
    with torch.inference_mode():
        x, f0 = torch.from_numpy(padded)[None], torch.from_numpy(one_hot)[None]
        speakers = torch.from_numpy(np.stack([source, target])).split(1)
        _, whole, _ = generator(x, *speakers, f0)
    assert np.abs(converted - whole[0, :75].numpy()).max() < 1e-6
