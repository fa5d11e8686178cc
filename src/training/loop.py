"""The training loop of all networks.

A training brings functions: ``draw`` returns a batch, ``step`` computes its losses, ``validate``
computes scores. The loop does the rest: learning rates, gradients, moving averages, logs,
checkpoints, exact resumption, several processes, and an error at a non-finite loss.
"""

from __future__ import annotations

import contextlib
import logging
import math
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from src.device import pick_device
from src.errors import InputError
from src.training import checkpoints, parallel, tensorboard
from src.training.settings import Training

AHEAD = 2  # batches drawn before they are needed

Losses = dict[str, torch.Tensor]  # by name; their sum is minimised
RandomGenerator = np.random.Generator | torch.Generator

_log = logging.getLogger(__name__)


class Batch(NamedTuple):
    """A training batch."""

    tensors: tuple[torch.Tensor, ...]  # on the CPU
    names: list[str]  # of the clips in it, for the message about a non-finite loss


class Stateful(Protocol):
    """A network, a moving average or an optimizer."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...


def begin(settings: Training) -> torch.device:
    """Prepare the process for a training: device, other processes, threads and seeds.

    Raises:
        InputError: CUDA is required and absent.
    """
    device = parallel.start(pick_device(settings.device))
    if settings.threads:
        torch.set_num_threads(settings.threads)
    random.seed(settings.seed)
    np.random.seed(settings.seed)
    torch.manual_seed(settings.seed)
    return device


def cosine(step: int, steps: int, warm_up: int = 100, floor: float = 0.02) -> float:
    """Factor on the learning rate: linear warm-up, then half a cosine down to ``floor``."""
    if step < warm_up:
        return (step + 1) / warm_up
    progress = min(1.0, (step - warm_up) / max(1, steps - warm_up))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


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
    name: str = ""  # suffix of its log entries, where there are several networks

    def optimize(self, loss: torch.Tensor) -> torch.Tensor:
        """Take one optimizer step, unless loss or gradient are not finite.

        Returns:
            Norm of the gradient; NaN where no step was taken.
        """
        weights = [weight for weight in self.network.parameters() if weight.requires_grad]
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=weights)
        parallel.average(weight.grad for weight in weights if weight.grad is not None)
        norm = torch.nn.utils.clip_grad_norm_(weights, self.max_norm)
        if torch.isfinite(loss.detach() + norm):
            self.optimizer.step()
            return norm
        return norm.new_tensor(math.nan)


def train(
    settings: Training,
    device: torch.device,
    networks: list[TrainedNetwork],
    draw: Callable[[], Batch],
    generators: dict[str, RandomGenerator],
    step: Callable[..., Iterator[tuple[TrainedNetwork, Losses]]],
    validate: Callable[[], dict[str, float]],
    keep: dict[str, Stateful],
    extra: dict[str, Any],
    score: Callable[[dict[str, float]], float] | None = None,
    lowest: bool = False,
    show: Callable[[Any, int], None] | None = None,
) -> None:
    """Train for ``settings.steps``.

    With ``settings.write``, ``ckpt_last.pth`` is written at each validation, and ``ckpt_best.pth``
    where the score is the best so far.

    Args:
        networks: on ``device``.
        draw: returns this process's rows (``parallel.own``) of the next batch. It runs in a thread
            beside the steps, so it draws from ``generators`` only, never from a global generator.
        generators: by their name in checkpoints.
        step: called with the number of steps done and the batch's tensors on the device; yields
            each network to optimize with its losses; the optimizer step is taken before the
            iteration continues. ``torch.autocast`` must not be active at a yield.
        validate: scores on held-out data; called in the first process only.
        keep: everything that has a state, by its name in checkpoints: saved and restored.
        extra: plain values and tensors that checkpoints hold besides; ``config`` among them.
        score: of the scores, which selects ``ckpt_best.pth``; None writes none.
        lowest: the best score is the lowest.
        show: called with a TensorBoard writer and the step after each validation, for images.

    Raises:
        InputError: a loss is not finite (the message names the batch), or there is nothing to
            resume from.
    """
    best, done = math.inf if lowest else -math.inf, 0
    _synchronise(networks)
    if settings.resume:
        path = settings.last_checkpoint
        state = checkpoints.load_checkpoint(path, extra["config"])
        _restore(state, path, keep, generators, device)
        done, best = state["step"], state.get("best", best)
    first = parallel.rank() == 0
    writing = settings.write and first
    writer = tensorboard.summary_writer(settings.log_folder, done) if writing else None
    started, first_step, validating = time.monotonic(), done, 0.0

    def next_batch() -> tuple[Batch, dict[str, Any]]:
        batch = draw()
        if device.type == "cuda":
            batch = batch._replace(tensors=tuple(x.pin_memory() for x in batch.tensors))
        return batch, _generator_states(generators)

    def write_checkpoint(name: str, states: dict[str, Any], random_states: list[dict]) -> None:
        checkpoints.save_checkpoint(
            settings.checkpoint_folder / name,
            **{key: kept.state_dict() for key, kept in keep.items()},
            **extra,
            **states,
            random=random_states,
            torch_random=random_states[0]["torch"],
            step=done,
            best=best,
        )

    _set_training(networks)
    pool = ThreadPoolExecutor(1)
    with contextlib.closing(writer) if writer else contextlib.nullcontext(), pool:
        coming = [pool.submit(next_batch) for _ in range(min(AHEAD, settings.steps - done))]
        while done < settings.steps:
            batch, states = coming.pop(0).result()
            if done + len(coming) + 1 < settings.steps:
                coming.append(pool.submit(next_batch))
            tensors = [x.to(device, non_blocking=True) for x in batch.tensors]
            losses, norms = {}, {}
            _set_learning_rates(networks, done, settings.steps)
            for trained, its_losses in step(done, *tensors):
                norm = trained.optimize(sum(its_losses.values()))
                if not torch.isfinite(norm):
                    names = ", ".join(dict.fromkeys(batch.names))
                    raise InputError(f"step {done}: non-finite loss; the batch was {names}")
                norms[trained.name] = norm
                losses |= {key: value.detach() for key, value in its_losses.items()}
            for trained in networks:
                if trained.average is not None:
                    trained.average.update_parameters(trained.network)
            done += 1
            ending = done == settings.steps
            if done % settings.log_every == 0 or ending:
                values = [value.float() for value in losses.values()]
                parallel.average(values)
                numbers = dict(zip(losses, (value.item() for value in values), strict=True))
                rate = (done - first_step) / (time.monotonic() - started - validating)
                text = f"step {done} of {settings.steps}: {_format(numbers)}"
                _log.info("%s; %.2f steps/s", text, rate)
                if writer is not None:
                    _write_scalars(writer, "train", numbers, done)
                    _write_optimization(writer, networks, norms, done)
            if done % settings.validate_every == 0 or ending:
                began = time.monotonic()
                if first:
                    scores = validate()
                    _log.info("step %d, held out: %s", done, _format(scores))
                    if writer is not None:
                        _write_scalars(writer, "held_out", scores, done)
                        if show is not None:
                            show(writer, done)
                random_states = parallel.gathered(_random_states(device)) if settings.write else []
                if writing:
                    reached = score(scores) if score else math.nan
                    if reached < best if lowest else reached > best:
                        best = reached
                        write_checkpoint("ckpt_best.pth", states, random_states)
                    write_checkpoint("ckpt_last.pth", states, random_states)
                _set_training(networks)
                validating += time.monotonic() - began


def _synchronise(networks: list[TrainedNetwork]) -> None:
    """Give all processes the same weights, and different seeds for dropout."""
    for trained in networks:
        parallel.synchronise_batch_norms(trained.network)
        parallel.copy_from_first(trained.network)
        if trained.average is not None:
            parallel.copy_from_first(trained.average)
    if parallel.count() > 1:
        torch.manual_seed(torch.initial_seed() + parallel.rank())


def _set_learning_rates(networks: list[TrainedNetwork], step: int, steps: int) -> None:
    for trained in networks:
        for group in trained.optimizer.param_groups:
            peak = trained.optimizer.defaults["lr"]
            group["lr"] = peak * trained.schedule(step, steps)


def _set_training(networks: list[TrainedNetwork]) -> None:
    for trained in networks:
        trained.network.train()


def _generator_states(generators: dict[str, RandomGenerator]) -> dict[str, Any]:
    return {
        name: one.get_state() if isinstance(one, torch.Generator) else one.bit_generator.state
        for name, one in generators.items()
    }


def _random_states(device: torch.device) -> dict[str, torch.Tensor]:
    """States of PyTorch's global generators, which dropout draws from."""
    states = {"torch": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _restore(
    state: dict[str, Any],
    path: Path,
    keep: dict[str, Stateful],
    generators: dict[str, RandomGenerator],
    device: torch.device,
) -> None:
    """Restore everything that a checkpoint holds.

    Raises:
        InputError: something that this training needs is not in it, or does not fit.
    """
    try:
        for name, kept in keep.items():
            kept.load_state_dict(state[name])
        for name, one in generators.items():
            if isinstance(one, torch.Generator):
                one.set_state(state[name])
            else:
                one.bit_generator.state = state[name]
        # Processes that the checkpoint does not know keep their seeds.
        random_states = state.get("random", [{"torch": state["torch_random"]}])
        for own in random_states[parallel.rank() : parallel.rank() + 1]:
            torch.set_rng_state(own["torch"])
            if device.type == "cuda" and "cuda" in own:
                torch.cuda.set_rng_state(own["cuda"], device)
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: not a checkpoint of this training ({reason})") from None


def _format(numbers: dict[str, float]) -> str:
    return ", ".join(f"{key} {value:.5f}" for key, value in numbers.items())


def _write_scalars(writer: Any, group: str, numbers: dict[str, float], step: int) -> None:
    """Log the finite ones of some numbers to TensorBoard."""
    for key, value in numbers.items():
        if math.isfinite(value):
            writer.add_scalar(f"{group}/{key}", value, step)


def _write_optimization(
    writer: Any, networks: list[TrainedNetwork], norms: Losses, step: int
) -> None:
    """Log gradient norms and learning rates to TensorBoard."""
    for trained in networks:
        if trained.name in norms:
            suffix = f"_{trained.name}" if trained.name else ""
            rate = trained.optimizer.param_groups[0]["lr"]
            norm = norms[trained.name].item()
            numbers = {f"gradient_norm{suffix}": norm, f"learning_rate{suffix}": rate}
            _write_scalars(writer, "train", numbers, step)
