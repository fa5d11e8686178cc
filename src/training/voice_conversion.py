"""Training of AutoVC (Qian et al. 2019; F0-conditioned, 2020) on many speakers.

Reconstruction of the log-mel before and after the post-net (L2) and of the code (L1). Beyond the
paper, the encoder may hear each crop with the voice changed (`VoiceAugmentation`) while the
decoder has to give back the true one: what the encoder passes on then cannot depend on the voice,
so the code may be finer in time than the official 16 frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from src.data.augmentation import VoiceAugmentation
from src.data.dumps import Voices
from src.models.autovc import AutoVC
from src.speech.f0 import f0_one_hot
from src.training import loop, parallel, runs

CROP = 128  # frames of a training crop (AutoVC)
CODE_FREE = 0.3  # share of the steps before the code's loss, which alone would still the code
POSTNET_START = 0.1  # gain of an untrained post-net's last norm
LARGEST_NORM = 5.0  # of the gradient


@dataclass(frozen=True)
class Options:
    """What a run is made of."""

    batch_size: int
    learning_rate: float
    strength: float  # of the voice changer
    code_weight: float
    seed: int


def quieten_postnet(generator: AutoVC) -> None:
    """Its last norm makes an untrained post-net as loud as speech; quieter, it does less harm."""
    with torch.no_grad():
        generator.postnet.convolutions[-1][1].weight.mul_(POSTNET_START)


def crops(
    voices: Voices, utterances: np.ndarray, rng: np.random.Generator, count: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
    """Random crops: mel (B, CROP, 80), F0 one-hot (B, CROP, 257), embeddings (B, 256), names.

    Short utterances are padded with zeros, as AutoVC does.
    """
    lengths = voices.starts[utterances + 1] - voices.starts[utterances]
    chosen = rng.choice(utterances, count, p=lengths / lengths.sum())
    mel = np.zeros((count, CROP, voices.mel.shape[1]), np.float32)
    bins = np.zeros((count, CROP), np.int64)
    for row, utterance in enumerate(chosen):
        first, end = voices.starts[utterance : utterance + 2]
        start = int(rng.integers(first, max(first + 1, end - CROP + 1)))
        piece = slice(start, min(end, start + CROP))
        mel[row, : piece.stop - start] = voices.mel[piece]
        bins[row, : piece.stop - start] = voices.f0_bins[piece]
    return (
        torch.from_numpy(mel),
        torch.from_numpy(f0_one_hot(bins)),
        torch.from_numpy(voices.embeddings[chosen]),
        [str(voices.names[i]) for i in chosen],
    )


def losses(
    generator: AutoVC,
    heard: torch.Tensor,
    mel: torch.Tensor,
    f0: torch.Tensor,
    embedding: torch.Tensor,
    code_weight: float,
) -> dict[str, torch.Tensor]:
    """Reconstruction before and after the post-net, and of the code where that has a weight."""
    first, refined, code = generator(heard, embedding, f0, embedding, f0)
    parts = {
        "first": torch.nn.functional.mse_loss(first, mel),
        "refined": torch.nn.functional.mse_loss(refined, mel),
    }
    if code_weight:
        again = generator(refined, embedding)
        parts["code"] = code_weight * torch.nn.functional.l1_loss(again, code)
    return parts


def train(
    run: runs.Run, generator: AutoVC, voices: Voices, held_out: set[str], options: Options
) -> loop.Report:
    """Train; the checkpoints hold the weights as ``model``.

    Args:
        held_out: speakers whose utterances are only validated on.
    """
    speaker_out = np.isin(voices.speakers, sorted(held_out))
    everyone = np.arange(len(voices.names))
    training, validation = everyone[~speaker_out], everyone[speaker_out]
    generator.to(run.device)
    optimizer = torch.optim.Adam(generator.parameters(), options.learning_rate)
    learner = loop.Learner(generator, optimizer, options.learning_rate, LARGEST_NORM)
    rng = np.random.default_rng(options.seed)
    noise = torch.Generator().manual_seed(options.seed)
    changer = VoiceAugmentation(noise, options.strength)

    def draw() -> loop.Batch:
        mel, f0, embedding, names = crops(voices, training, rng, options.batch_size)
        mine = parallel.own(options.batch_size)
        tensors = (changer(mel), mel, f0, embedding)
        return loop.Batch(tuple(tensor[mine] for tensor in tensors), names[mine])

    def step(
        done: int, *tensors: torch.Tensor
    ) -> Iterator[tuple[loop.Learner, dict[str, torch.Tensor]]]:
        code_weight = options.code_weight if done >= CODE_FREE * run.steps else 0.0
        yield learner, losses(generator, *tensors, code_weight)

    def judge() -> dict[str, float]:
        return {"refined": validate(generator, voices, validation, options, run.device)}

    return loop.train(
        run,
        [learner],
        draw,
        {"rng": rng, "noise": noise},
        step,
        judge,
        keep={"model": generator, "opt": optimizer},
        extra={"config": generator.config},
        score=lambda scores: scores["refined"],
        lowest=True,
    )


def validate(
    generator: AutoVC,
    voices: Voices,
    utterances: np.ndarray,
    options: Options,
    device: torch.device,
) -> float:
    """Mean L2 of the refined log-mel on changed voices of held-out speakers, always the same."""
    rng = np.random.default_rng(0)
    changer = VoiceAugmentation(torch.Generator().manual_seed(0), options.strength)
    generator.eval()
    total, rounds = 0.0, 4
    with torch.inference_mode():
        for _ in range(rounds):
            mel, f0, embedding, _ = crops(voices, utterances, rng, 16)
            heard = changer(mel)
            values = losses(generator, *(x.to(device) for x in (heard, mel, f0, embedding)), 0.0)
            total += values["refined"].item()
    return total / rounds
