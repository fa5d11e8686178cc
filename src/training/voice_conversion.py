"""Training of AutoVC (Qian et al. 2019; F0-conditioned, 2020) on many speakers.

Reconstruction of the log-mel before and after the post-net (L2) and of the code (L1). Beyond the
paper, the encoder may hear each crop with the voice changed (``augment.VoiceChanger``) while the
decoder has to give back the true one: what the encoder passes on then cannot depend on the voice,
so the code may be finer in time than the official 16 frames.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from src.features import f0_one_hot
from src.networks.autovc import Generator
from src.training import runs
from src.training.augment import VoiceChanger
from src.training.dumps import Voices

CROP = 128  # frames of a training crop (AutoVC)
CODE_FREE = 0.3  # share of the steps before the code's loss, which alone would still the code
POSTNET_START = 0.1  # gain of an untrained post-net's last norm

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What a run is made of; stored in its checkpoints."""

    steps: int
    batch_size: int
    learning_rate: float
    strength: float  # of the voice changer
    code_weight: float
    seed: int
    validate_every: int


def quieten_postnet(generator: Generator) -> None:
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
    generator: Generator,
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
    generator: Generator,
    voices: Voices,
    held_out: set[str],
    options: Options,
    folder: Path,
    writer,
    resume: bool,
    device: torch.device,
    write: bool,
) -> None:
    """Train; with ``write``, ``ckpt_last.pth`` (resumable) and ``ckpt_best.pth`` go to ``folder``.

    Args:
        held_out: speakers whose utterances are only validated on.
    """
    speaker_out = np.isin(voices.speakers, sorted(held_out))
    everyone = np.arange(len(voices.names))
    training, validation = everyone[~speaker_out], everyone[speaker_out]
    generator.to(device)
    optimizer = torch.optim.Adam(generator.parameters(), options.learning_rate)
    rng = np.random.default_rng(options.seed)
    noise = torch.Generator().manual_seed(options.seed)
    changer = VoiceChanger(noise, options.strength)
    step, best = 0, float("inf")
    if resume:
        state = runs.load_run(folder / "ckpt_last.pth", generator.config)
        generator.load_state_dict(state["model"])
        optimizer.load_state_dict(state["opt"])
        rng.bit_generator.state = state["rng"]
        noise.set_state(state["noise"])
        step, best = state["step"], state["best"]

    def checkpoint(name: str) -> None:
        runs.save_run(
            folder / name,
            model=generator.state_dict(),
            opt=optimizer.state_dict(),
            config=generator.config,
            rng=rng.bit_generator.state,
            noise=noise.get_state(),
            step=step,
            best=best,
        )

    started, since = time.monotonic(), step
    while step < options.steps:
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * runs.cosine(step, options.steps)
        mel, f0, embedding, names = crops(voices, training, rng, options.batch_size)
        heard = changer(mel)
        generator.train()
        code_weight = options.code_weight if step >= CODE_FREE * options.steps else 0.0
        batch = (x.to(device) for x in (heard, mel, f0, embedding))
        parts = losses(generator, *batch, code_weight)
        loss = sum(parts.values())
        runs.refuse_nan(loss, step, names)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(generator.parameters(), 5.0)
        optimizer.step()
        step += 1
        learning_rate = optimizer.param_groups[0]["lr"]
        runs.log_step(writer, step, parts, norm, learning_rate)
        if step % options.validate_every == 0 or step == options.steps:
            score = validate(generator, voices, validation, options, device)
            rate = (step - since) / (time.monotonic() - started)
            texts = ", ".join(f"{key} {value.item():.5f}" for key, value in parts.items())
            _log.info("step %d: %s; held out %.5f; %.2f steps/s", step, texts, score, rate)
            runs.log_scores(writer, step, {"refined": score})
            if write:
                if score < best:
                    best = score
                    checkpoint("ckpt_best.pth")
                checkpoint("ckpt_last.pth")


def validate(
    generator: Generator,
    voices: Voices,
    utterances: np.ndarray,
    options: Options,
    device: torch.device,
) -> float:
    """Mean L2 of the refined log-mel on changed voices of held-out speakers, always the same."""
    rng = np.random.default_rng(0)
    changer = VoiceChanger(torch.Generator().manual_seed(0), options.strength)
    generator.eval()
    total, rounds = 0.0, 4
    with torch.inference_mode():
        for _ in range(rounds):
            mel, f0, embedding, _ = crops(voices, utterances, rng, 16)
            heard = changer(mel)
            values = losses(generator, *(x.to(device) for x in (heard, mel, f0, embedding)), 0.0)
            total += values["refined"].item()
    return total / rounds
