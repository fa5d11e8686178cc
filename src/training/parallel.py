"""Training in several processes: each computes a part of every batch.

``torchrun --nproc_per_node N main_train_….py`` starts them. All draw the same random numbers for a
batch and take their own rows of it; gradients and the statistics of batch norms are averaged over
the processes, so that N processes do what one does with the whole batch. With one process, the
functions here do nothing or return what that process has.
"""

from __future__ import annotations

import atexit
import contextlib
import datetime
import functools
import logging
import os
from collections.abc import Iterable, Iterator
from typing import Any

import torch

# Imported before the processes are joined: its functions have the group among their defaults, which
# would keep gloo's threads running while Python ends, so that a process might be aborted.
import torch.distributed.nn.functional
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from src.errors import InputError

TIMEOUT = datetime.timedelta(hours=1)  # the others wait while the first process validates


def start(device: torch.device) -> torch.device:
    """Join the processes that torchrun started; each gets a CUDA device of its own."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    if not distributed.is_initialized():
        backend = "nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=TIMEOUT)
        atexit.register(distributed.destroy_process_group)
    if rank():
        logging.getLogger("src").setLevel(logging.WARNING)
    return device


def rank() -> int:
    """Index of this process, from 0; the first one writes and logs."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def count() -> int:
    """Number of processes that train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def own(items: int) -> slice:
    """The rows of a batch of ``items`` that this process computes.

    Raises:
        InputError: the batch cannot be split evenly.
    """
    each, rest = divmod(items, count())
    if rest or not each:
        raise InputError(f"a batch of {items} cannot be split evenly over {count()} processes")
    return slice(rank() * each, (rank() + 1) * each)


@contextlib.contextmanager
def first_alone() -> Iterator[None]:
    """Let the first process finish the block before the others begin it."""
    if rank():
        distributed.barrier()
    yield
    if count() > 1 and not rank():
        distributed.barrier()


def gathered(value: Any) -> list[Any]:
    """The value of each process, by rank."""
    if count() == 1:
        return [value]
    values = [None] * count()
    distributed.all_gather_object(values, value)
    return values


def average(tensors: Iterable[torch.Tensor]) -> None:
    """Replace tensors by their mean over all processes."""
    for tensor in tensors:
        if count() > 1:
            distributed.all_reduce(tensor)
            tensor /= count()


def synchronise(network: nn.Module) -> None:
    """Give a network the tensors of the first process, and its batch norms the batches of all.

    PyTorch's ``SyncBatchNorm`` supports accelerators only.
    """
    if count() > 1:
        for tensor in network.state_dict().values():
            distributed.broadcast(tensor, 0)
        for module in network.modules():
            if isinstance(module, _BatchNorm):
                module.forward = functools.partial(_synchronised_norm, module)


class _Sum(torch.autograd.Function):
    """Sum over all processes, through which gradients flow back to all of them."""

    @staticmethod
    def forward(_context, tensor: torch.Tensor) -> torch.Tensor:
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_context, gradient: torch.Tensor) -> torch.Tensor:
        return _Sum.forward(_context, gradient)


def _synchronised_norm(norm: _BatchNorm, features: torch.Tensor) -> torch.Tensor:
    """``norm(features)`` of (B, C, …), in training with the statistics of all processes."""
    if not norm.training:
        return type(norm).forward(norm, features)
    # Under autocast the features have 16 bits, in which sums over a batch would be rounded.
    values = features.float()
    axes = [0, *range(2, features.dim())]
    number = count() * features.numel() // features.shape[1]
    mean = _Sum.apply(values.sum(axes, keepdim=True)) / number
    centred = values - mean
    variance = _Sum.apply(centred.square().sum(axes, keepdim=True)) / number
    with torch.no_grad():
        norm.num_batches_tracked += 1
        norm.running_mean.lerp_(mean.flatten(), norm.momentum)
        norm.running_var.lerp_(variance.flatten() * (number / (number - 1)), norm.momentum)
    weight, bias = norm.weight.view_as(mean), norm.bias.view_as(mean)
    return (centred * torch.rsqrt(variance + norm.eps) * weight + bias).to(features.dtype)
