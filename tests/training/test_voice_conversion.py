"""Training of AutoVC."""

import numpy as np
import torch

from src.data import dumps
from src.io.files import write_arrays
from src.models.autovc import AutoVC
from src.models.config import AutoVCConfig
from src.training import voice_conversion
from src.training.settings import VoiceConversionTraining

CPU = torch.device("cpu")


def test_voice_conversion_learns_to_repeat(tmp_path):
    rng = np.random.default_rng(0)
    mel = 0.5 + 0.3 * np.sin(np.arange(600)[:, None] / 7 + np.arange(80) / 9)
    known = dumps.Voices(
        mel=mel.astype(np.float16),
        f0_bins=rng.integers(0, 257, 600).astype(np.int16),
        starts=np.array([0, 200, 400, 600]),
        embeddings=rng.standard_normal((3, 256)).astype(np.float32) / 16,
        names=np.array(["a", "b", "c"]),
        speakers=np.array(["a", "b", "c"]),
    )
    write_arrays(tmp_path / "dump" / "voices.npz", **vars(known))
    known = dumps.read_voices(tmp_path)
    torch.manual_seed(0)
    network = AutoVC(AutoVCConfig(dim_neck=4, dim_pre=32, freq=8))
    settings = VoiceConversionTraining(
        root_dir=tmp_path,
        write=True,
        steps=150,
        held_out=("c",),
        batch_size=4,
        learning_rate=5e-3,
        voice_change=0.2,
    )
    before = voice_conversion.validate(network, known, settings, CPU)["refined"]
    voice_conversion.train(settings, CPU, network, known)
    after = voice_conversion.validate(network, known, settings, CPU)["refined"]
    assert after < 0.3 * before
    assert (settings.checkpoint_folder / "ckpt_best.pth").is_file()
