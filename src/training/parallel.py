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
import logging
import os
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import distributed, nn

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
    try:
        yield
    finally:
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
    """Replace tensors of one type and device by their mean over all processes."""
    tensors = list(tensors)
    if count() == 1 or not tensors:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    distributed.all_reduce(flat)
    flat /= count()
    for tensor, piece in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(piece.view_as(tensor))


def copy_from_first(network: nn.Module) -> None:
    """Give a network the weights and buffers that it has in the first process."""
    if count() > 1:
        for tensor in network.state_dict().values():
            distributed.broadcast(tensor, 0)


def synchronise_batch_norms(network: nn.Module) -> None:
    """Make a network's batch norms use the batches of all processes; tensors keep their names."""
    if count() == 1:
        return
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                setattr(parent, name, SyncBatchNorm.like(child))


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


class SyncBatchNorm(nn.SyncBatchNorm):
    """PyTorch's ``SyncBatchNorm``, which supports accelerators only, on the CPU as well."""

    @staticmethod
    def like(norm: nn.modules.batchnorm._BatchNorm) -> SyncBatchNorm:
        """A norm that shares the parameters and buffers of another one."""
        shared = SyncBatchNorm(norm.num_features, norm.eps, norm.momentum, norm.affine)
        shared.weight, shared.bias = norm.weight, norm.bias
        for name, buffer in norm.named_buffers(recurse=False):
            setattr(shared, name, buffer)
        shared.training = norm.training
        return shared

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, …), in training normalised over all but C and over the processes."""
        if not self.training or features.device.type != "cpu":
            return super().forward(features)
        # Under autocast the features have 16 bits, in which sums over a batch would be rounded.
        dtype = features.dtype
        features = features.to(torch.promote_types(dtype, torch.float32))
        axes = [0, *range(2, features.dim())]
        shape = (1, -1, *[1] * (features.dim() - 2))
        number = count() * features.numel() // features.shape[1]
        mean = _Sum.apply(features.sum(axes)) / number
        centred = features - mean.view(shape)
        variance = _Sum.apply(centred.square().sum(axes)) / number
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (number / (number - 1)), self.momentum)
        normed = centred * torch.rsqrt(variance + self.eps).view(shape)
        return (normed * self.weight.view(shape) + self.bias.view(shape)).to(dtype)
