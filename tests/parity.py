"""The published release's numbers, where the checkout has them, and its fillers of weights."""

import zlib
from pathlib import Path

import numpy as np
import pytest

PARITY = Path(__file__).resolve().parents[2] / "shared" / "parity"
needs_parity = pytest.mark.skipif(not PARITY.is_dir(), reason="needs ../shared/parity")


def filler(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal float64 numbers that depend on a name only."""
    return np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)


def filled_state_dict(shapes: dict[str, tuple[int, ...]]) -> dict:
    """Weights that the parity numbers were computed with, from key names and shapes."""
    import torch

    filled = {}
    for key, shape in shapes.items():
        last = key.split(".")[-1]
        values = filler(key, tuple(shape))
        if last == "num_batches_tracked":
            filled[key] = torch.zeros((), dtype=torch.long)
            continue
        if last == "pe":
            continue
        if last == "running_var":
            values = 1 + 0.1 * np.abs(values)
        elif len(shape) >= 2:
            values = values / np.sqrt(np.prod(shape[1:]))
        elif last in ("weight", "alpha"):
            values = 1 + 0.1 * values
        else:
            values = 0.1 * values
        filled[key] = torch.from_numpy(values.astype(np.float32))
    return filled


def fill(network) -> None:
    """Fill a network in place and put it in eval mode."""
    shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    missing = network.load_state_dict(filled_state_dict(shapes), strict=False).missing_keys
    assert all(key.endswith("pe.pe") for key in missing), missing
    network.eval()
