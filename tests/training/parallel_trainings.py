"""A few steps of the trainings, for one process or as torchrun starts this file.

torchrun --nproc_per_node 2 -m tests.training.parallel_trainings ROOT NAME
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

import main_train_content
from src.data import dumps
from src.io.files import write_arrays
from src.models.autovc import AutoVC
from src.models.config import AutoVCConfig, SpeakerConfig
from src.models.speaker_aware import SpeakerBranch
from src.training import loop, speaker_aware, voice_conversion
from src.training.corpus import Corpus, feature_statistics
from src.training.settings import SpeakerAwareTraining, VoiceConversionTraining

STEPS = 6
LINES = 2 * STEPS + 2  # with losses, one for each step of both content branches


def write_dumps(root: Path, clips: list[dumps.Clip]) -> None:
    """What the trainings read."""
    dumps.write_clips(root, "train", clips)
    dumps.write_clips(root, "val", clips[:2])
    rng = np.random.default_rng(0)
    voices = dumps.Voices(
        mel=rng.random((600, 80)).astype(np.float16),
        f0_bins=rng.integers(0, 257, 600).astype(np.int16),
        starts=np.array([0, 200, 400, 600]),
        embeddings=rng.standard_normal((3, 256)).astype(np.float32) / 16,
        names=np.array(["a", "b", "c"]),
        speakers=np.array(["a", "b", "c"]),
    )
    write_arrays(root / "dump" / "voices.npz", **vars(voices))


def settings_of(kind: type, root: Path, name: str, **changes) -> Any:
    common = {"write": True, "threads": 1, "device": "cpu", "steps": STEPS}
    return kind(root_dir=root, name=name, **{**common, **changes})


def train_content(root: Path, name: str, *flags: str) -> None:
    sizes = {"hidden_size": 16, "lstm_layers": 1, "prior_hidden": 16, "segment_batch_size": 64}
    where = {
        "root_dir": root,
        "name": "_".join((name, "content", *flags)),
        "device": "cpu",
        "threads": 1,
    }
    options = {**where, **sizes, "steps": STEPS, "log_every": 1}
    arguments = [f"--{option}={value}" for option, value in options.items()]
    arguments += [f"--{flag}" for flag in flags]
    assert main_train_content.main(["--train", "--write", *arguments]) == 0


def train_speaker_aware(root: Path, name: str) -> None:
    settings = settings_of(
        SpeakerAwareTraining,
        root,
        f"{name}_speaker_aware",
        learning_rate=1e-3,
        gan_weight=0.1,
        pose_weight=1.0,
    )
    device = loop.begin(settings)
    clips = dumps.read_clips(root, "train")
    reference = clips[0].landmarks[0].reshape(68, 3)
    corpus = Corpus.of(clips, feature_statistics(clips), 0, reference)
    sizes = {"feed_forward": 32, "dropout": 0.0}
    network = SpeakerBranch(SpeakerConfig(audio_size=16, audio_layers=1, max_length=80, **sizes))
    speaker_aware.train(settings, device, network, corpus, corpus)


def train_voice_conversion(root: Path, name: str) -> None:
    settings = settings_of(
        VoiceConversionTraining,
        root,
        f"{name}_voice_conversion",
        batch_size=4,
        held_out=("c",),
    )
    device = loop.begin(settings)
    voices = dumps.read_voices(root)
    network = AutoVC(AutoVCConfig(dim_neck=4, dim_pre=64, freq=8))
    voice_conversion.train(settings, device, network, voices)


def main(root: Path, name: str) -> None:
    for train in (train_content, train_speaker_aware, train_voice_conversion):
        train(root, name)
    train_content(root, name, "bfloat16")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), sys.argv[2])
