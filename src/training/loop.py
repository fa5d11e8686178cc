"""The training loop of all networks.

A training brings functions: ``draw`` returns a batch, ``step`` computes its losses, ``validate``
computes scores. The loop does the rest: learning rates, gradients, moving averages, logs,
checkpoints, exact resumption, several processes, and an error at a non-finite loss.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from tensorboardX import SummaryWriter
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from src.device import pick_device
from src.errors import InputError
from src.training import checkpoints, parallel
from src.training.checkpoints import state_of
from src.training.settings import Training

AHEAD = 2  # batches drawn before they are needed
WARM_UP = 100  # steps in which the learning rate rises
FLOOR = 0.02  # of the learning rate at the end, relative to its peak

_log = logging.getLogger(__name__)


class Batch(NamedTuple):
    """A training batch."""

    tensors: tuple[torch.Tensor, ...]  # on the CPU
    names: list[str]  # of the clips in it, for the message about a non-finite loss


def begin(settings: Training) -> torch.device:
    """Prepare the process for a training: device, other processes, threads and seed.

    Raises:
        InputError: CUDA is required and absent.
    """
    device = parallel.start(pick_device(settings.device))
    if settings.threads:
        torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed + parallel.rank())
    return device


def cosine(step: int, steps: int) -> float:
    """Factor on the learning rate: linear warm-up, then half a cosine down to ``FLOOR``."""
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    progress = min(1.0, (step - WARM_UP) / max(1, steps - WARM_UP))
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * progress))


def constant(_step: int, _steps: int) -> float:
    """Factor on a learning rate that stays the same."""
    return 1.0


def moving_average(network: torch.nn.Module, decay: float) -> AveragedModel:
    """Exponential moving average of weights and buffers; ``.module`` is the averaged network.

    The n-th decay is at most (1 + n) / (10 + n): with a constant one, the initial weights would
    stay in the average for several times 1 / (1 - decay) steps.
    """

    def update(averages: list, values: list, number: torch.Tensor) -> None:
        current = min(decay, (1 + int(number)) / (10 + int(number)))
        get_ema_multi_avg_fn(current)(averages, values, number)

    return AveragedModel(network, multi_avg_fn=update, use_buffers=True)


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network and how it is optimized."""

    network: torch.nn.Module
    optimizer: torch.optim.Optimizer  # created with the peak learning rate
    max_norm: float = math.inf  # gradients are clipped to it
    average: AveragedModel | None = None
    schedule: Callable[[int, int], float] = cosine  # step and steps to a factor on the rate
    suffix: str = ""  # of its log entries, where there are several networks

    def optimize(self, loss: torch.Tensor) -> float:
        """Take one optimizer step, unless loss or gradient are not finite.

        Returns:
            Norm of the gradient; NaN where no step was taken.
        """
        weights = [weight for weight in self.network.parameters() if weight.requires_grad]
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=weights)
        parallel.average(weight.grad for weight in weights if weight.grad is not None)
        norm = torch.nn.utils.clip_grad_norm_(weights, self.max_norm)
        if not torch.isfinite(loss.detach() + norm):
            return math.nan
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.network)
        return norm.item()


Steps = Iterator[tuple[TrainedNetwork, dict[str, torch.Tensor]]]
"""Networks to optimize, each with its losses by name, whose sum is minimised."""


def train(
    settings: Training,
    device: torch.device,
    networks: list[TrainedNetwork],
    draw: Callable[[], Batch],
    step: Callable[..., Steps],
    validate: Callable[[], dict[str, float]],
    contents: dict[str, Any],
    score: Callable[[dict[str, float]], float] | None = None,
    lowest: bool = False,
) -> None:
    """Train for ``settings.steps``.

    With ``settings.write``, ``ckpt_last.pth`` is written at each validation, and ``ckpt_best.pth``
    where the score is the best so far.

    Args:
        networks: on ``device``.
        draw: returns this process's rows (``parallel.own``) of the next batch. It runs in a thread
            beside the steps, so it draws from generators in ``contents``, never from a global one.
        step: called with the number of steps done and the batch's tensors on the device. Each
            network is optimized before the iteration continues; ``torch.autocast`` must not be
            active at a yield.
        validate: scores on held-out data; called in the first process only.
        contents: of checkpoints, by name: networks, averages, optimizers and random generators,
            whose states are saved and restored, and plain values; ``config`` among them.
        score: of the scores, which selects ``ckpt_best.pth``; None writes none.
        lowest: the best score is the lowest.

    Raises:
        InputError: a loss is not finite (the message names the batch), or there is nothing to
            resume from.
    """
    for trained in networks:
        parallel.synchronise(trained.network)
        if trained.average is not None:
            parallel.synchronise(trained.average)
    done, best = 0, math.inf if lowest else -math.inf
    if settings.resume:
        done, best = checkpoints.restore(settings.last_checkpoint, contents)
    first = parallel.rank() == 0
    writing = settings.write and first

    def next_batch() -> tuple[Batch, dict[str, Any]]:
        batch = draw()
        generators = np.random.Generator | torch.Generator
        states = {k: state_of(v) for k, v in contents.items() if isinstance(v, generators)}
        return batch, states

    began, first_step = time.monotonic(), done  # of the steps since the last validation
    folder = str(settings.log_folder)
    with SummaryWriter(folder, purge_step=done + 1, write_to_disk=writing) as log:
        for batch, generator_states in _ahead(next_batch, settings.steps - done):
            tensors = [x.to(device) for x in batch.tensors]
            losses, rates = {}, {}
            for trained in networks:
                trained.network.train()
                for group in trained.optimizer.param_groups:
                    peak = trained.optimizer.defaults["lr"]
                    group["lr"] = peak * trained.schedule(done, settings.steps)
            for trained, its_losses in step(done, *tensors):
                norm = trained.optimize(sum(its_losses.values()))
                if math.isnan(norm):
                    names = ", ".join(dict.fromkeys(batch.names))
                    raise InputError(f"step {done}: non-finite loss; the batch was {names}")
                losses |= {key: value.detach().float() for key, value in its_losses.items()}
                rates[f"gradient_norm{trained.suffix}"] = norm
                rates[f"learning_rate{trained.suffix}"] = trained.optimizer.param_groups[0]["lr"]
            done += 1
            ending = done == settings.steps
            if done % settings.log_every == 0 or ending:
                parallel.average(losses.values())
                means = {key: value.item() for key, value in losses.items()}
                speed = (done - first_step) / (time.monotonic() - began)
                text = f"step {done} of {settings.steps}: {described(means)}"
                _log.info("%s; %.2f steps/s", text, speed)
                _add_scalars(log, "train", means | rates, done)
            if done % settings.validate_every == 0 or ending:
                if first:
                    scores = validate()
                    _log.info("step %d, held out: %s", done, described(scores))
                    _add_scalars(log, "held_out", scores, done)
                random_states = parallel.gathered(checkpoints.random_state())
                if writing:
                    saved = contents | generator_states | {"random": random_states, "step": done}
                    reached = score(scores) if score else math.nan
                    if reached < best if lowest else reached > best:
                        best = reached
                        path = settings.checkpoint_folder / "ckpt_best.pth"
                        checkpoints.save_checkpoint(path, **saved, best=best)
                    checkpoints.save_checkpoint(settings.last_checkpoint, **saved, best=best)
                began, first_step = time.monotonic(), done


def described(numbers: dict[str, float]) -> str:
    """Numbers with their names as text."""
    return ", ".join(f"{key} {value:.5f}" for key, value in numbers.items())


def _ahead(function: Callable[[], Any], count: int) -> Iterator[Any]:
    """Results of ``count`` calls of a function, which run in a thread ``AHEAD`` of their use."""
    with ThreadPoolExecutor(1) as pool:
        coming = []
        for call in range(count + AHEAD):
            if call < count:
                coming.append(pool.submit(function))
            if call >= AHEAD:
                yield coming.pop(0).result()


def _add_scalars(log: SummaryWriter, group: str, numbers: dict[str, float], step: int) -> None:
    """Log the finite ones of some numbers to TensorBoard."""
    for key, value in numbers.items():
        if math.isfinite(value):
            log.add_scalar(f"{group}/{key}", value, step)
