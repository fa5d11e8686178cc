"""Training of AutoVC (Qian et al. 2019; F0-conditioned, 2020) on many speakers.

Beyond the paper, the voice in the encoder's input may be changed (`VoiceAugmentation`) while
the decoder has to reconstruct the original: the code then cannot depend on the voice, so it may be
finer in time than the official 16 frames.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from src.data.augmentation import VoiceAugmentation
from src.data.dumps import Voices
from src.models.autovc import AutoVC
from src.speech.f0 import f0_one_hot
from src.training import loop, parallel
from src.training.losses import weighted_losses
from src.training.losses.voice_conversion import LOSSES, VoiceConversionBatch
from src.training.settings import VoiceConversionTraining

CROP = 128  # frames of a training crop (AutoVC)
CODE_START = 0.3  # fraction of the steps before the code's loss, which alone makes a code constant
POSTNET_START = 0.1  # gain of an untrained post-net's last norm
MAX_NORM = 5.0  # of the gradient
VALIDATION_BATCHES, VALIDATION_SIZE = 4, 16


def train(
    settings: VoiceConversionTraining, device: torch.device, generator: AutoVC, voices: Voices
) -> None:
    """Train; the checkpoints hold the weights as ``model``.

    Utterances of the speakers in ``settings.held_out`` are only validated on.
    """
    utterances = np.flatnonzero(~np.isin(voices.speakers, settings.held_out))
    generator.to(device)
    optimizer = torch.optim.Adam(generator.parameters(), settings.learning_rate)
    trained = loop.TrainedNetwork(generator, optimizer, MAX_NORM)
    rng = np.random.default_rng(settings.seed)
    noise = torch.Generator().manual_seed(settings.seed)
    augment = VoiceAugmentation(noise, settings.voice_change)

    def draw() -> loop.Batch:
        *tensors, names = crops(voices, utterances, rng, settings.batch_size)
        mine = parallel.own(settings.batch_size)
        tensors = (augment(tensors[0]), *tensors)
        return loop.Batch(tuple(tensor[mine] for tensor in tensors), names[mine])

    def step(done, *tensors) -> loop.Steps:
        started = done >= CODE_START * settings.steps
        weights = settings if started else replace(settings, code_weight=0.0)
        yield trained, weighted_losses(LOSSES, weights, reconstruct(generator, *tensors))

    states = {"model": generator, "opt": optimizer, "rng": rng, "noise": noise}
    loop.train(
        settings,
        device,
        [trained],
        draw,
        step,
        lambda: validate(generator, voices, settings, device),
        contents=states | {"config": generator.config},
        score=lambda scores: scores["refined"],
        lowest=True,
    )


def attenuate_postnet(generator: AutoVC) -> None:
    """Attenuate an untrained post-net, whose last norm makes its output as loud as speech."""
    with torch.no_grad():
        generator.postnet.convolutions[-1][1].weight.mul_(POSTNET_START)


def crops(
    voices: Voices, utterances: np.ndarray, rng: np.random.Generator, count: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
    """Draw random crops of utterances, padded with zeros where they are short, as in AutoVC.

    Returns:
        mel (B, CROP, 80), one-hot F0 (B, CROP, 257), embeddings (B, 256) and names.
    """
    lengths = voices.starts[utterances + 1] - voices.starts[utterances]
    chosen = rng.choice(utterances, count, p=lengths / lengths.sum())
    mel = np.zeros((count, CROP, voices.mel.shape[1]), np.float32)
    bins = np.zeros((count, CROP), np.int64)
    for row, utterance in enumerate(chosen):
        first, end = voices.starts[utterance : utterance + 2]
        start = int(rng.integers(first, max(first + 1, end - CROP + 1)))
        crop = slice(start, min(end, start + CROP))
        mel[row, : crop.stop - start] = voices.mel[crop]
        bins[row, : crop.stop - start] = voices.f0_bins[crop]
    arrays = mel, f0_one_hot(bins), voices.embeddings[chosen]
    return *map(torch.from_numpy, arrays), voices.names[chosen].tolist()


def reconstruct(
    generator: AutoVC,
    changed: torch.Tensor,
    mel: torch.Tensor,
    f0: torch.Tensor,
    embedding: torch.Tensor,
) -> VoiceConversionBatch:
    """Reconstruct crops.

    Args:
        changed: (B, T, 80) input of the encoder, in which the voice may be changed.
        mel: (B, T, 80) ground truth.
        f0: (B, T, 257) one-hot.
        embedding: (B, 256) of the speakers.
    """
    first, refined, code = generator(changed, embedding, embedding, f0)
    return VoiceConversionBatch(generator, mel, embedding, first, refined, code)


def validate(
    generator: AutoVC, voices: Voices, settings: VoiceConversionTraining, device: torch.device
) -> dict[str, float]:
    """Mean squared error of the refined log-mel, on always the same crops of held-out speakers."""
    utterances = np.flatnonzero(np.isin(voices.speakers, settings.held_out))
    rng = np.random.default_rng(0)
    augment = VoiceAugmentation(torch.Generator().manual_seed(0), settings.voice_change)
    generator.eval()
    errors = []
    for _ in range(VALIDATION_BATCHES):
        *tensors, _ = crops(voices, utterances, rng, VALIDATION_SIZE)
        tensors = (tensor.to(device) for tensor in (augment(tensors[0]), *tensors))
        with torch.inference_mode():
            errors.append(LOSSES["refined"](reconstruct(generator, *tensors)).item())
    return {"refined": float(np.mean(errors))}
