"""Training of image translation: drawn landmarks and a portrait to the frame (paper, 4.4)."""

from __future__ import annotations

import contextlib
import copy
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from src.data.dumps import replace_file
from src.data.image_shards import PackedFaces
from src.face.topology import LIPS
from src.models.image_translation import ResUnetGenerator
from src.models.patch_discriminator import PatchDiscriminator
from src.models.vgg import Vgg19
from src.training import loop, parallel, runs
from src.training.pairs import PairMaker, Pairs
from src.training.translation_losses import (
    Weights,
    as_planes,
    generator_losses,
    judge_losses,
    make,
    region_mask,
)

BETAS = (0.5, 0.999)  # of Adam (the paper)
EMA_DECAY = 0.999
# Parts of a training before which meddling costs nothing, and from which it costs in full: a
# network that is made to keep out before it can mend never learns to.
SHARE_FREE, SHARE_FULL = 0.3, 0.6
# Of NumPy's and PyTorch's libraries, which read them when they are loaded.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
JUDGED_PAIRS = 32  # portraits of the held-out side that every validation renders
SHEET_ROWS = 8


@dataclass(frozen=True)
class Options:
    """How to train."""

    batch_size: int  # portraits
    num_frames: int  # targets of each
    num_workers: int  # processes that make pairs; 0: this one
    window: int  # side in pixels of the part of the square to train on
    judges: tuple[str, ...]  # "face", "mouth"
    judge_width: int  # of their first layer
    learning_rate: float
    weights: Weights
    sheet_every: int  # steps between sheets of pictures; 0: none
    kept_every: int  # steps between checkpoints that stay; 0: none
    seed: int


class Drawn:
    """Batches of pairs, made ahead by other processes; on after a stop as if there had been none.

    Numbers of pairs come from `rng`. The loader reads ahead of it from a copy, and `rng` itself
    goes on as batches are handed out, so that its state says what comes next.
    """

    def __init__(self, maker: PairMaker, options: Options, rng: np.random.Generator) -> None:
        self.maker = maker
        self.options = options
        self.rng = rng
        self.own = parallel.own(options.batch_size)
        self.loader: Iterator | None = None

    def __call__(self) -> loop.Batch:
        if self.loader is None:
            self.loader = iter(self._loader(copy.deepcopy(self.rng)))
        batch = next(self.loader)
        self._numbers(self.rng)
        return batch

    def _numbers(self, rng: np.random.Generator) -> list[int]:
        return rng.integers(2**62, size=self.options.batch_size)[self.own].tolist()

    def _loader(self, rng: np.random.Generator) -> torch.utils.data.DataLoader:
        workers = self.options.num_workers
        return torch.utils.data.DataLoader(
            _Numbered(self.maker),
            batch_sampler=iter(lambda: self._numbers(rng), None),  # without end
            num_workers=workers,
            collate_fn=together,
            worker_init_fn=_one_thread,
            multiprocessing_context=_processes() if workers else None,
            prefetch_factor=4 if workers else None,
        )


class _Numbered(torch.utils.data.Dataset):
    """Pairs by their number."""

    def __init__(self, maker: PairMaker) -> None:
        self.maker = maker

    def __getitem__(self, number: int) -> Pairs:
        return self.maker(number)


def _processes() -> multiprocessing.context.BaseContext:
    """How workers start: a fork of this process with its running threads may never wake up."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # Workers start one after the other, so that each would wait for the imports of all before it.
    context.set_forkserver_preload(["torch", "cv2"])
    with _one_thread_each():
        forkserver.ensure_running()
    return context


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """What is started within computes in one thread: workers with one a core each take four times
    as long."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(1)


def together(pairs: list[Pairs]) -> loop.Batch:
    """Pairs as one batch: four pictures (B, 256, 256, 3) uint8 and landmarks (B, 68, 2)."""
    fields = ("lines", "portrait", "warped", "target", "landmarks")
    tensors = tuple(
        torch.from_numpy(np.concatenate([getattr(one, field) for one in pairs])) for field in fields
    )
    return loop.Batch(tensors, [one.name for one in pairs])


def train(
    run: runs.Run,
    network: ResUnetGenerator,
    pictures: PackedFaces,
    held_out: PackedFaces,
    options: Options,
    vgg: Vgg19 | None = None,
) -> loop.Report:
    """Train; the checkpoints hold the moving average of the weights as ``G``.

    Args:
        held_out: judged at every validation, never trained on.
        vgg: without it there is neither perceptual nor style loss.
    """
    network.to(run.device, memory_format=torch.channels_last)
    average = loop.moving_average(network, EMA_DECAY)
    optimizer = torch.optim.Adam(network.parameters(), options.learning_rate, BETAS)
    learner = loop.Learner(network, optimizer, options.learning_rate, average=average)
    learners = [learner]
    keep = {"G": average.module, "network": network, "average": average, "opt": optimizer}
    judges = None
    if options.judges and (options.weights.adversarial_weight or options.weights.matching_weight):
        judges = nn.ModuleDict(
            {name: PatchDiscriminator(ndf=options.judge_width) for name in options.judges}
        )
        judges.to(run.device)
        judge_optimizer = torch.optim.Adam(judges.parameters(), options.learning_rate, BETAS)
        learners.append(loop.Learner(judges, judge_optimizer, options.learning_rate, name="judges"))
        keep |= {"judges": judges, "judges_opt": judge_optimizer}
    if vgg is not None:
        vgg.to(run.device).eval().requires_grad_(False)
    rng = np.random.default_rng(options.seed)
    maker = PairMaker(pictures, options.num_frames, network.config.mends, window=options.window)
    fixed = fixed_pairs(held_out, network.config.mends)

    def step(
        done: int, *tensors: torch.Tensor
    ) -> Iterator[tuple[loop.Learner, dict[str, torch.Tensor]]]:
        lines, portrait, warped, true = map(as_planes, tensors[:4])
        landmarks = tensors[4]
        made = make(network, lines, portrait, warped, options.weights.bfloat16)
        if run.write and options.sheet_every and done % options.sheet_every == 0:
            rows = [portrait, warped, made.frame.detach(), true, lines]
            write_sheet(run.log / f"step_{done:06d}.jpg", [row[:SHEET_ROWS] for row in rows])
        if run.write and options.kept_every and done and done % options.kept_every == 0:
            runs.save_run(
                run.folder / f"ckpt_{done:06d}.pth",
                G=average.module.state_dict(),
                config=network.config,
            )
        ramp = (done / run.steps - SHARE_FREE) / (SHARE_FULL - SHARE_FREE)
        weights = options.weights
        now = replace(weights, share_weight=weights.share_weight * min(max(ramp, 0.0), 1.0))
        yield learner, generator_losses(made, true, lines, landmarks, now, vgg, judges)
        if judges is not None:
            frames = made.frame.detach()
            yield (
                learners[1],
                judge_losses(judges, frames, true, lines, landmarks, options.weights.bfloat16),
            )

    sheet: list[torch.Tensor] = []

    def judge_average() -> dict[str, float]:
        scores, sheet[:] = validate(average.module, fixed, run.device)
        if run.write:
            write_sheet(run.log / "held_out.jpg", [row[:SHEET_ROWS] for row in sheet])
        return scores

    def show(writer: Any, done: int) -> None:
        picture = side_by_side([row[:SHEET_ROWS] for row in sheet])
        writer.add_image("held_out", picture[..., ::-1], done, dataformats="HWC")

    return loop.train(
        run,
        learners,
        Drawn(maker, options, rng),
        {"rng": rng},
        step,
        judge_average,
        keep,
        extra={"config": network.config},
        score=lambda scores: scores["l1"],
        lowest=True,
        show=show,
    )


def fixed_pairs(held_out: PackedFaces, mends: bool) -> tuple[torch.Tensor, ...]:
    """The pairs that a network is judged on, as tensors of `together`."""
    maker = PairMaker(held_out, 1, mends=mends, plain=True)
    return together([maker(number) for number in range(JUDGED_PAIRS)]).tensors


def judge(network: nn.Module, held_out: PackedFaces, device: torch.device) -> dict[str, float]:
    """The scores of `validate` on held-out pictures."""
    return validate(network, fixed_pairs(held_out, network.config.mends), device)[0]


def validate(
    network: nn.Module, tensors: tuple[torch.Tensor, ...], device: torch.device
) -> tuple[dict[str, float], list[torch.Tensor]]:
    """Judge a network, which is put in eval mode, on pairs.

    Args:
        tensors: of `together`.

    Returns:
        Mean absolute error (0-1), peak signal-to-noise ratio in dB, the same within the mouth, and
        the warped portrait's for comparison; and the rows of a sheet: portrait, warped, made, true.
    """
    network.eval()
    rows, made = [], []
    with torch.inference_mode():
        for start in range(0, len(tensors[0]), 8):
            planes = [as_planes(x[start : start + 8].to(device)) for x in tensors[:4]]
            made.append(make(network, *planes[:3]).frame)
            rows.append(planes)
        _, portrait, warped, true = (torch.cat(row) for row in zip(*rows, strict=True))
        frame = torch.cat(made)
        mouth = region_mask(tensors[4].to(device), LIPS, true.shape[-1]).expand_as(true)
        scores = {"l1": (frame - true).abs().mean().item()}
        for name, one in (("", frame), ("warped_", warped)):
            error = (one - true).square()
            scores[f"{name}psnr"] = decibels(error.mean((1, 2, 3)))
            scores[f"{name}mouth_psnr"] = decibels(
                (mouth * error).sum((1, 2, 3)) / mouth.sum((1, 2, 3))
            )
    return scores, [portrait, warped, frame, true]


def decibels(errors: torch.Tensor) -> float:
    """Mean peak signal-to-noise ratio of mean square errors (B,) of pictures in 0-1."""
    return (-10 * torch.log10(errors.clamp(min=1e-10))).mean().item()


def side_by_side(columns: list[torch.Tensor]) -> np.ndarray:
    """PackedFaces (B, 3, H, W) in 0-1, given by columns, as one: uint8 (B H, columns W, 3)."""
    rows = torch.cat([column.float() for column in columns], 3)
    picture = torch.cat(list(rows), 1).clamp(0, 1).permute(1, 2, 0)
    return (255 * picture).round().to(torch.uint8).cpu().numpy()


def write_sheet(path: Path, columns: list[torch.Tensor]) -> None:
    """Write pictures (B, 3, H, W) in 0-1, given by columns, side by side as one picture."""
    encoded = cv2.imencode(path.suffix, side_by_side(columns))[1]
    replace_file(path, lambda file: file.write(encoded.tobytes()))
