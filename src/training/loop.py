"""The one loop that all trainings run in.

A training brings functions: ``draw`` makes a batch, ``step`` computes losses of it, ``validate``
judges. The loop does the rest: learning rates, gradients, moving averages, logs, checkpoints, a
stop at what is no number, going on exactly after a stop, and several processes.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from src.errors import InputError
from src.training import parallel, runs

AHEAD = 2  # batches drawn before they are needed

Generator = np.random.Generator | torch.Generator

_log = logging.getLogger(__name__)


class Batch(NamedTuple):
    """What ``draw`` returns."""

    tensors: tuple[torch.Tensor, ...]  # on the CPU
    names: list[str]  # of the clips in it, for the message about a loss that is no number


class Stateful(Protocol):
    """A network, a moving average or an optimizer."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...


def cosine(step: int, steps: int, warm_up: int = 100, floor: float = 0.02) -> float:
    """Factor on the learning rate: linear warm-up, then half a cosine down to ``floor``."""
    if step < warm_up:
        return (step + 1) / warm_up
    share = min(1.0, (step - warm_up) / max(1, steps - warm_up))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * share))


def constant(_step: int, _steps: int) -> float:
    """A learning rate that stays."""
    return 1.0


def moving_average(network: torch.nn.Module, decay: float) -> AveragedModel:
    """Exponential moving average of weights and buffers; ``.module`` is the averaged network.

    It is shorter at first, the n-th decay being (1 + n) / (10 + n), or the first weights of all
    would stay in it for several times 1 / (1 - decay) steps.
    """

    def move(averages: list, values: list, number: torch.Tensor) -> None:
        now = min(decay, (1 + int(number)) / (10 + int(number)))
        get_ema_multi_avg_fn(now)(averages, values, number)

    return AveragedModel(network, multi_avg_fn=move, use_buffers=True)


@dataclass(frozen=True, eq=False)
class Learner:
    """A network and the optimizer that trains it."""

    network: torch.nn.Module
    optimizer: torch.optim.Optimizer
    rate: float  # peak learning rate
    largest_norm: float = math.inf  # longer gradients are shortened to it
    average: AveragedModel | None = None
    schedule: Callable[[int, int], float] = cosine  # step and steps to a factor on the rate
    name: str = ""  # what its log entries end in, where there are several

    def descend(self, loss: torch.Tensor) -> torch.Tensor:
        """One step down the loss unless it or its gradient is no number; the gradient's norm."""
        weights = [weight for weight in self.network.parameters() if weight.requires_grad]
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=weights)
        parallel.average(weight.grad for weight in weights if weight.grad is not None)
        norm = torch.nn.utils.clip_grad_norm_(weights, self.largest_norm)
        if torch.isfinite(loss.detach() + norm):
            self.optimizer.step()
            return norm
        return norm.new_tensor(math.nan)


@dataclass
class Report:
    """Where the time of a training went, in seconds."""

    steps: int = 0
    seconds: float = 0.0
    learning: float = 0.0  # of them, in the networks and optimizers; waiting for a batch is not
    aside: float = 0.0  # of them, for validation and checkpoints

    @property
    def rate(self) -> float:
        """Steps a second, without validation."""
        return self.steps / max(1e-9, self.seconds - self.aside)


def train(
    run: runs.Run,
    learners: list[Learner],
    draw: Callable[[], Batch],
    generators: dict[str, Generator],
    step: Callable[..., Iterator[tuple[Learner, dict[str, torch.Tensor]]]],
    validate: Callable[[], dict[str, float]],
    keep: dict[str, Stateful],
    extra: dict[str, Any],
    score: Callable[[dict[str, float]], float] | None = None,
    lowest: bool = False,
    show: Callable[[Any, int], None] | None = None,
) -> Report:
    """Train until ``run.steps``.

    With ``run.write``, ``ckpt_last.pth`` is written at each validation, and ``ckpt_best.pth``
    where the score is the best so far.

    Args:
        learners: on ``run.device``; the first one's rate and norm stand for the training.
        draw: makes this process's rows (``parallel.own``) of the next batch. It runs in a thread
            beside the steps, so it draws from ``generators`` only, never from a global generator.
        generators: by their name in checkpoints.
        step: called with the number of steps done and the batch's tensors on the device; yields
            each learner that is to descend, with its losses by name, whose sum is descended
            before the generator goes on. ``torch.autocast`` must not be open at a yield.
        validate: scores on the held-out side; called in the first process only.
        keep: whatever has a state, by its name in checkpoints: put there and read at ``resume``.
        extra: plain values and tensors that checkpoints hold besides; ``config`` among them.
        score: what makes a checkpoint the best; None writes no ``ckpt_best.pth``.
        lowest: the best score is the lowest.
        show: called with a TensorBoard writer and the step after each validation, for pictures.

    Raises:
        InputError: a loss is no number (the message names the batch), or there is nothing to
            resume from.
    """
    best, done = math.inf if lowest else -math.inf, 0
    _join(learners)
    if run.resume:
        state = runs.load_run(run.last, extra["config"])
        _restore(state, keep, generators, run)
        done, best = state["step"], state.get("best", best)
    first = parallel.rank() == 0
    writing = run.write and first
    writer = runs.summary_writer(run.log, done) if writing else None
    report, begun, began_at = Report(), time.monotonic(), done

    def next_batch() -> tuple[Batch, dict[str, Any]]:
        batch = draw()
        if run.device.type == "cuda":
            batch = batch._replace(tensors=tuple(x.pin_memory() for x in batch.tensors))
        return batch, _states(generators)

    def checkpoint(name: str, states: dict[str, Any], random: list[dict[str, Any]]) -> None:
        contents = {key: thing.state_dict() for key, thing in keep.items()}
        runs.save_run(
            run.folder / name,
            **contents,
            **extra,
            **states,
            random=random,
            torch_random=random[0]["torch"],
            step=done,
            best=best,
        )

    _set_training(learners)
    pool = ThreadPoolExecutor(1)
    with contextlib.closing(writer) if writer else contextlib.nullcontext(), pool:
        coming = [pool.submit(next_batch) for _ in range(min(AHEAD, run.steps - done))]
        while done < run.steps:
            batch, states = coming.pop(0).result()
            got = time.monotonic()
            if done + len(coming) + 1 < run.steps:
                coming.append(pool.submit(next_batch))
            tensors = [x.to(run.device, non_blocking=True) for x in batch.tensors]
            parts, norms = {}, {}
            _set_rates(learners, done, run.steps)
            for learner, losses in step(done, *tensors):
                norm = learner.descend(sum(losses.values()))
                refuse_nan(norm, done, batch.names)
                norms[learner.name] = norm
                parts.update({key: value.detach() for key, value in losses.items()})
            for learner in learners:
                if learner.average is not None:
                    learner.average.update_parameters(learner.network)
            report.learning += time.monotonic() - got
            done += 1
            ending = done == run.steps
            report.steps, report.seconds = done - began_at, time.monotonic() - begun
            if done % run.log_every == 0 or ending:
                values = [value.float() for value in parts.values()]
                parallel.average(values)
                numbers = dict(zip(parts, (value.item() for value in values), strict=True))
                texts = ", ".join(f"{key} {value:.5f}" for key, value in numbers.items())
                _log.info("step %d of %d: %s; %.2f steps/s", done, run.steps, texts, report.rate)
                _log_step(writer, done, numbers, norms, learners)
            if done % run.validate_every == 0 or ending:
                if first:
                    scores = validate()
                    texts = ", ".join(f"{key} {value:.5f}" for key, value in scores.items())
                    _log.info("step %d, held out: %s", done, texts)
                    _log_scores(writer, done, scores)
                    if writer is not None and show is not None:
                        show(writer, done)
                random = parallel.gathered(_random_states(run.device)) if run.write else []
                if writing:
                    reached = score(scores) if score else math.nan
                    if reached < best if lowest else reached > best:
                        best = reached
                        checkpoint("ckpt_best.pth", states, random)
                    checkpoint("ckpt_last.pth", states, random)
                _set_training(learners)
                report.aside += time.monotonic() - begun - report.seconds
                report.seconds = time.monotonic() - begun
    return report


def refuse_nan(value: torch.Tensor, step: int, names: list[str]) -> None:
    """Stop a training whose loss is no number, naming the batch.

    Raises:
        InputError: the value is NaN or infinite.
    """
    if not torch.isfinite(value):
        named = ", ".join(dict.fromkeys(names))
        raise InputError(f"step {step}: the loss is not a number; the batch was {named}")


def _join(learners: list[Learner]) -> None:
    """Begin alike in all processes, but for dropout."""
    for learner in learners:
        parallel.share_batch_norms(learner.network)
        parallel.take_from_first(learner.network)
        if learner.average is not None:
            parallel.take_from_first(learner.average)
    if parallel.count() > 1:
        torch.manual_seed(torch.initial_seed() + parallel.rank())


def _set_rates(learners: list[Learner], step: int, steps: int) -> None:
    for learner in learners:
        for group in learner.optimizer.param_groups:
            group["lr"] = learner.rate * learner.schedule(step, steps)


def _set_training(learners: list[Learner]) -> None:
    for learner in learners:
        learner.network.train()


def _states(generators: dict[str, Generator]) -> dict[str, Any]:
    return {
        name: one.get_state() if isinstance(one, torch.Generator) else one.bit_generator.state
        for name, one in generators.items()
    }


def _random_states(device: torch.device) -> dict[str, torch.Tensor]:
    """PyTorch's global generators, which dropout draws from."""
    states = {"torch": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _restore(
    state: dict[str, Any],
    keep: dict[str, Stateful],
    generators: dict[str, Generator],
    run: runs.Run,
) -> None:
    """Put back what a checkpoint holds.

    Raises:
        InputError: something that this training needs is not in it, or does not fit.
    """
    try:
        for name, thing in keep.items():
            thing.load_state_dict(state[name])
        for name, one in generators.items():
            if isinstance(one, torch.Generator):
                one.set_state(state[name])
            else:
                one.bit_generator.state = state[name]
        # Processes that were not there then keep the seeds that they have now.
        random = state.get("random", [{"torch": state["torch_random"]}])[parallel.rank() :]
        if random:
            torch.set_rng_state(random[0]["torch"])
            if run.device.type == "cuda" and "cuda" in random[0]:
                torch.cuda.set_rng_state(random[0]["cuda"], run.device)
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{run.last}: not a checkpoint of this training ({reason})") from None


def _log_step(
    writer: Any,
    step: int,
    parts: dict[str, float],
    norms: dict[str, torch.Tensor],
    learners: list[Learner],
) -> None:
    """Losses, gradient norms and learning rates to TensorBoard."""
    if writer is None:
        return
    for key, value in parts.items():
        writer.add_scalar(f"train/{key}", value, step)
    for learner in learners:
        if learner.name not in norms:  # it rested
            continue
        suffix = f"_{learner.name}" if learner.name else ""
        writer.add_scalar(f"train/gradient_norm{suffix}", norms[learner.name].item(), step)
        rate = learner.optimizer.param_groups[0]["lr"]
        writer.add_scalar(f"train/learning_rate{suffix}", rate, step)


def _log_scores(writer: Any, step: int, scores: dict[str, float]) -> None:
    """Scores on the held-out side to TensorBoard, those that there are."""
    if writer is not None:
        for key, value in scores.items():
            if math.isfinite(value):
                writer.add_scalar(f"held_out/{key}", value, step)
