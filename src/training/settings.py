"""Settings of the trainings. Their fields are the options of the scripts ``main_train_*.py``.

Nothing heavy is imported here, so that --help stays quick. A loss called ``name`` in a registry of
``src.training.losses`` has its weight in the field ``name_weight``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.command_line import OneLineParser
from src.options import add_options, option


def weight(default: float, name: str, help: str) -> Any:
    """Field for the weight of a loss."""
    return option(default, help, name=name, least=0)


@dataclass(frozen=True, kw_only=True)
class Training:
    """Settings of every training."""

    train: bool = option(False, "train; otherwise only validate")
    write: bool = option(False, "write checkpoints and TensorBoard logs")
    root_dir: Path = option(help="folder with dump/, ckpt/ and log/")
    name: str = option("training", "name of the run")
    resume: bool = option(False, "continue from the run's last checkpoint")
    steps: int = option(1000, "optimizer steps", least=1)
    validate_every: int = option(200, "steps between validations and checkpoints", least=1)
    log_every: int = option(20, "steps between log entries", least=1)
    seed: int = option(0, least=0, most=2**32 - 1)
    threads: int = option(0, "CPU threads, 0 for all", least=0, most=1024)
    device: str = option("auto", choices=("auto", "cuda", "cpu"))

    @property
    def checkpoint_folder(self) -> Path:
        """Folder of the run's checkpoints."""
        return self.root_dir / "ckpt" / self.name

    @property
    def log_folder(self) -> Path:
        """Folder of the run's TensorBoard log."""
        return self.root_dir / "log" / self.name

    @property
    def last_checkpoint(self) -> Path:
        """The checkpoint to resume from."""
        return self.checkpoint_folder / "ckpt_last.pth"


@dataclass(frozen=True, kw_only=True)
class LandmarkTraining(Training):
    """Settings of the trainings of both landmark networks."""

    dump_file_name: str = option("autovc_retrain_mel", "prefix of the dumps' names")
    split: str = option("val", "split to validate on", choices=("val", "test"))
    fractions: dict[str, float] = option(
        {},
        "of each batch, by prefix of the speakers' names",
        name="share",
        metavar="PREFIX=FRACTION",
    )
    laplacian_weight: float = weight(1.0, "lambda_laplacian_smooth_loss", "graph Laplacian")
    motion_gain: float = 1.0  # factor on displacements


@dataclass(frozen=True, kw_only=True)
class ContentTraining(LandmarkTraining):
    """Settings of the training of the content branch."""

    name: str = option("content", "name of the run")
    load_a2l_C_name: Path | None = option(None, "start from the weights of this checkpoint")
    steps: int = option(2500, "optimizer steps", least=1)
    nepoch: int | None = option(None, "epochs over all windows, instead of --steps", least=1)
    segment_batch_size: int = option(512, "windows in a batch", least=4)
    run_length: int = option(4, "consecutive windows of a clip in a batch", least=2, most=10**4)
    learning_rate: float = option(1e-3, "peak learning rate; paper: 1e-4", name="lr", least=0)
    weight_decay: float = option(1e-6, "weight decay", name="reg_lr", least=0)
    l1_weight: float = weight(1.0, "lambda_l1_loss", "L1, closed lips weighted up")
    square_weight: float = weight(0.5, "lambda_square_loss", "squared error of lips; paper: 0")
    motion_weight: float = weight(1.0, "lambda_motion_loss", "frame differences; paper: 0")
    correlation_weight: float = weight(
        0.0, "lambda_correlation_loss", "1 - correlation of the lip gap, for long runs; paper: 0"
    )
    speed_change: float = option(0.0, "largest relative change of a run's speed", least=0, most=0.5)
    even_clips: bool = option(False, "draw clips equally often, not in proportion to their length")
    bfloat16: bool = option(False, "compute in bfloat16, which is faster on some processors")


@dataclass(frozen=True, kw_only=True)
class SpeakerAwareTraining(LandmarkTraining):
    """Settings of the training of the speaker-aware branch."""

    name: str = option("speaker_aware", "name of the run")
    dump_file_name: str = option("speaker_aware", "prefix of the dumps' names")
    load_a2l_G_name: Path | None = option(None, "start from the weights of this checkpoint")
    load_a2l_C_name: Path | None = option(None, "content checkpoint, for its feature statistics")
    steps: int = option(3000, "optimizer steps", least=1)
    batch_size: int = option(4, "sequences in a batch", least=1)
    learning_rate: float = option(5e-4, "peak learning rate; paper: 1e-4", name="lr", least=0)
    l1_weight: float = weight(1.0, "lambda_l1_loss", "L1")
    moments_weight: float = weight(1.0, "lambda_moment_loss", "std and speed; paper: 0")
    pose_weight: float = weight(0.0, "lambda_pose_loss", "std and speed of the pose; paper: 0")
    gan_weight: float = weight(0.02, "lambda_gan_loss", "least-squares GAN")
    motion_gain: float = option(1.0, "factor on the ground truth's motion", least=0)


@dataclass(frozen=True, kw_only=True)
class VoiceConversionTraining(Training):
    """Settings of the training of AutoVC."""

    name: str = option("voice_conversion", "name of the run")
    load_AUTOVC_name: Path | None = option(None, "start from the weights of this checkpoint")
    held_out: tuple[str, ...] = option((), "speakers kept out of training", metavar="SPEAKER")
    steps: int = option(6000, "optimizer steps", least=1)
    batch_size: int = option(16, "crops of 128 frames in a batch", least=1)
    learning_rate: float = option(1e-3, "peak learning rate; paper: 1e-4", name="lr", least=0)
    voice_change: float = 1.0  # strength of the `VoiceAugmentation`; paper: 0
    first_weight: float = 1.0
    refined_weight: float = 1.0
    code_weight: float = 0.1  # paper: 1


@dataclass(frozen=True, kw_only=True)
class ImageTranslationTraining(Training):
    """Settings of the training of image translation."""

    name: str = option("image_translation", "name of the run")
    dump_file_name: str = option("pictures", "start of the packed faces' name")
    load_G_name: Path | None = option(None, "start from the weights of this checkpoint")
    steps: int = option(10000, "optimizer steps", least=1)
    nepoch: int | None = option(None, "epochs over all images, instead of --steps", least=1)
    batch_size: int = option(16, "portraits in a batch", least=1)
    num_frames: int = option(4, "target frames of each portrait", least=1)
    num_workers: int = option(2, "processes that load data", least=0)
    learning_rate: float = option(1e-4, "peak learning rate", name="lr", least=0)
    jpg_freq: int = option(1000, "steps between sheets of training images", least=0)
    ckpt_epoch_freq: int = option(0, "epochs between checkpoints that are kept", least=0)
    window: int = option(256, "side of the part trained on, in pixels", least=64, most=256)
    bfloat16: bool = option(False, "compute in bfloat16 on a CPU too, as always on CUDA")
    discriminators: tuple[str, ...] = option(
        ("face", "mouth"), "discriminators", name="judges", choices=("face", "mouth")
    )
    ndf: int = option(48, "width of the discriminators", least=1)
    vgg: Path | None = option(None, "torchvision's VGG-19 weights, if not in PyTorch's cache")
    l1_weight: float = weight(1.0, "lambda_l1_loss", "L1")
    alpha_weight: float = weight(0.0, "lambda_share_loss", "alpha outside mouth and eyes")
    perceptual_weight: float = weight(1.0, "lambda_perceptual_loss", "activations of VGG-19")
    style_weight: float = weight(100.0, "lambda_style_loss", "Gram matrices of VGG-19")
    adversarial_weight: float = weight(0.0, "lambda_adversarial_loss", "hinge GAN; paper: 0")
    matching_weight: float = weight(0.0, "lambda_matching_loss", "feature matching; paper: 0")
    mouth_weight: float = option(0.0, "extra weight of the mouth in L1; paper: 0", least=0)
    eye_weight: float = option(0.0, "extra weight of the eyes in L1; paper: 0", least=0)


@dataclass(frozen=True, kw_only=True)
class Export:
    """Checkpoints to embed."""

    root_dir: Path = option(help="folder with dump/")
    load_AUTOVC_name: Path = option(help="of main_train_voice_conversion.py")
    load_a2l_C_name: tuple[Path, ...] = option(
        help="of main_train_content.py; several: an ensemble"
    )
    load_a2l_G_name: Path = option(help="of main_train_speaker_aware.py")
    load_G_name: Path | None = option(None, "of main_train_image_translation.py, if to be embedded")
    lip_gain: float = option(
        1.0,
        "factor on vertical lip motion, which a loss on its correlation leaves undetermined",
        least=0.01,
        most=100,
    )
    out_dir: Path = option(Path("examples/ckpt/embedded"), "folder to write")


def training_parser(
    description: str, settings: type[Training], config: type, sizes: Sequence[str]
) -> argparse.ArgumentParser:
    """Parser with the options of a training.

    Args:
        settings: of the training.
        config: of a new network.
        sizes: fields of the config that are options.
    """
    parser = OneLineParser(description=description)
    add_options(parser, settings)
    add_options(parser, config, only=sizes)
    return parser
