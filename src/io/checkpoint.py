"""Weight files and pickled arrays, read without executing anything in them.

A `.pth` or `.pickle` file is a program for a plain unpickler. Here only tensors, arrays and plain
containers are built. A pickled optimizer, which the published image-translation checkpoint
contains, is left out; anything else is refused by name.
"""

import json
import logging
import os
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from src.errors import InputError
from src.io.files import atomic_write, first_bytes

log = logging.getLogger(__name__)

CONFIG_KEY = "config"


class SkippedOptimizer:
    """Placeholder for a pickled optimizer."""

    def __setstate__(self, state: Any) -> None:
        """Ignore the state."""


def read_checkpoint(path: str | os.PathLike) -> tuple[dict, dict]:
    """Read a `.pth` file of either PyTorch format, or a `.safetensors` file.

    Returns:
        The contents as nested dicts of CPU tensors and plain values, without optimizers, and the
        network's config, empty if the file has none. Tensors of a `.pth` file may be mapped from
        it rather than read, so copy them before the file is removed.

    Raises:
        InputError: absent, empty, truncated, not a checkpoint, or asking for more than data.
    """
    path = Path(path)
    zipped = first_bytes(path) == b"PK\x03\x04"
    contents = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pth(path, zipped)
    if not isinstance(contents, dict):
        raise InputError(f"{path}: holds a {type(contents).__name__}, not a checkpoint")
    kept = {key: value for key, value in contents.items() if type(value) is not SkippedOptimizer}
    config = kept.pop(CONFIG_KEY, {})
    if not isinstance(config, dict):
        raise InputError(f"{path}: its config is a {type(config).__name__}, not a dict")
    return kept, config


def _read_pth(path: Path, zipped: bool) -> Any:
    allowed = [(SkippedOptimizer, "torch.optim.adam.Adam"), dict]
    allowed += [(lambda *_factory: {}, "collections.defaultdict")]  # of the optimizer's state
    try:
        with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged files cause advice about pickle protocols
            # Mapping keeps an optimizer's gigabyte out of memory.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # damaged bytes can raise anything
        if name := re.search(r"GLOBAL (\S+)", str(error)):
            raise _refusal(path, name[1]) from None
        raise InputError(f"{path}: not a PyTorch checkpoint, or damaged") from None


def _read_safetensors(path: Path) -> dict:
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors | {CONFIG_KEY: json.loads((file.metadata() or {}).get(CONFIG_KEY, "{}"))}
    except Exception:  # the library's own error type is not a documented base
        raise InputError(f"{path}: not a safetensors file, or damaged") from None


def checkpoint_part(checkpoint: dict, name: str, path: str | os.PathLike) -> dict:
    """Select the weights stored under a name ('model', 'model_g_face_id', 'G').

    A checkpoint that holds only tensors, as the embedded ones do, is returned itself.

    Raises:
        InputError: no such entry; the message names the existing ones.
    """
    part = checkpoint.get(name)
    if isinstance(part, dict):
        return part
    if checkpoint and all(isinstance(value, torch.Tensor) for value in checkpoint.values()):
        return checkpoint
    found = ", ".join(f"'{key}'" for key in list(checkpoint)[:5]) or "nothing"
    raise InputError(f"{path}: no weights under '{name}' in this checkpoint (found {found})")


def load_weights(
    network: torch.nn.Module, state_dict: dict[str, torch.Tensor], path: str | os.PathLike
) -> None:
    """Copy weights into a network, as float32; arguments and errors as for `fitting_weights`."""
    network.load_state_dict(fitting_weights(network, state_dict, path), strict=False)


def fitting_weights(
    network: torch.nn.Module, given: dict[str, torch.Tensor], path: str | os.PathLike
) -> dict[str, torch.Tensor]:
    """Select the tensors that a network needs from a checkpoint.

    DataParallel's prefix `module.` is removed from names, and a warning names entries that the
    network lacks, except those whose prefix is in its `unused`.

    Args:
        network: may lie on the meta device.
        given: name to tensor.
        path: the file they came from, for messages.

    Raises:
        InputError: tensors that are missing, have another shape or are not finite.
    """
    expected, unused = network.state_dict(), getattr(network, "unused", ())
    tensors = {
        str(key).removeprefix("module."): value
        for key, value in given.items()
        if isinstance(value, torch.Tensor)
    }
    # Files older than PyTorch 0.4.1 lack the batch counters, which nothing here reads.
    missing = [name for name in expected if name not in tensors]
    missing = [name for name in missing if not name.endswith(".num_batches_tracked")]
    if missing:
        raise InputError(f"{path}: missing tensors: {_named(missing)}")
    found = {name: tensors[name] for name in expected if name in tensors}
    misshapen = [
        f"{name} is {tuple(tensor.shape)}, not {tuple(expected[name].shape)}"
        for name, tensor in found.items()
        if tensor.shape != expected[name].shape
    ]
    if misshapen:
        raise InputError(f"{path}: misshapen tensors: {_named(misshapen)}")
    broken = [name for name, tensor in found.items() if not tensor.isfinite().all()]
    if broken:
        raise InputError(f"{path}: tensors that are not finite: {_named(broken)}")
    extra = [name for name in tensors if name not in expected and not name.startswith(unused)]
    if extra:
        log.warning("%s: ignoring tensors that the network lacks: %s", path, _named(extra))
    return found


def to_half(state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copy tensors to the CPU, floating-point ones as float16.

    Raises:
        ValueError: a tensor does not fit float16, or is not finite.
    """
    halves = {}
    for name, tensor in state_dict.items():
        half = tensor.half() if tensor.is_floating_point() else tensor
        if not half.isfinite().all():
            raise ValueError(f"{name} has values beyond float16")
        halves[name] = half.detach().cpu().clone().contiguous()
    return halves


def save_embedded(
    path: str | os.PathLike, state_dict: dict[str, torch.Tensor], config: dict
) -> None:
    """Write float16 weights as a safetensors file, atomically, with the config as JSON.

    Raises:
        InputError: the file cannot be written.
        ValueError: a tensor does not fit float16, or is not finite.
    """
    from safetensors.torch import save

    tensors = to_half(state_dict)
    with atomic_write(path) as partial:
        # Not `save_file`, whose files only their owner can read.
        partial.write_bytes(save(tensors, {CONFIG_KEY: json.dumps(config)}))


def read_pickle(path: str | os.PathLike) -> Any:
    """Read a pickle of NumPy arrays and plain containers, such as a training dump.

    Raises:
        InputError: absent, empty, truncated, not a pickle, or asking for more than data.
    """
    first_bytes(path)
    try:
        with open(path, "rb") as file:
            content = ArrayUnpickler(file, encoding="latin1").load()
    except RefusedGlobal as error:
        raise _refusal(path, error.args[0]) from None
    except Exception:  # damaged bytes can raise anything
        raise InputError(f"{path}: not a pickle of arrays, or damaged") from None
    _require_plain(content, path)
    return content


class RefusedGlobal(pickle.UnpicklingError):
    """A pickle refers to a function or class that is not data; the argument is its name."""


class ArrayUnpickler(pickle.Unpickler):
    """Unpickler that builds NumPy arrays and plain containers only."""

    def find_class(self, module: str, name: str) -> Any:
        """Resolve a name in the pickle through the allow-list."""
        module = module.replace("numpy._core", "numpy.core")
        try:
            return ARRAY_GLOBALS[f"{module}.{name}"]
        except KeyError:
            raise RefusedGlobal(f"{module}.{name}") from None


def _latin1(text: str, encoding: str) -> bytes:
    """Decode the bytes of an array as pickle protocol 2 stores them."""
    if encoding != "latin1":
        raise RefusedGlobal(f"_codecs.encode to {encoding}")
    return text.encode("latin1")


ARRAY_GLOBALS = {
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": np.dtype,
    "numpy.core.multiarray._reconstruct": np.core.multiarray._reconstruct,
    "numpy.core.multiarray.scalar": np.core.multiarray.scalar,
    "numpy.core.numeric._frombuffer": np.core.numeric._frombuffer,
    "_codecs.encode": _latin1,
}
"""Names that pickled arrays refer to, in every protocol. None of them executes foreign code."""


def _require_plain(content: Any, path: Path) -> None:
    """Refuse arrays of objects and other types, without recursion."""
    seen = set()
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if value is None or isinstance(value, bool | int | float | str | bytes | np.number):
            continue
        if isinstance(value, np.ndarray):
            if value.dtype.hasobject or value.dtype.names:
                raise InputError(f"{path}: an array of objects, expected numbers")
        elif type(value) in (dict, list, tuple, set):
            if id(value) not in seen:
                seen.add(id(value))
                waiting.extend(value)
                if isinstance(value, dict):
                    waiting.extend(value.values())
        else:
            raise InputError(f"{path}: a {type(value).__name__}, expected arrays")


def _refusal(path: Path, name: str) -> InputError:
    return InputError(
        f"{path}: refused, because it refers to '{name}', which is not data; nothing in it was "
        "executed"
    )


def _named(names: list[str]) -> str:
    """The first few of many names, on one line."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
