"""The published release's numbers, and the filled weights that they were computed with.

`goldens` are those in the repository. Tests that need more read ../shared/parity, where it exists.
"""

import zlib
from pathlib import Path

import numpy as np
import pytest

PARITY = Path(__file__).resolve().parents[2] / "shared" / "parity"
GOLDENS = Path(__file__).parent / "goldens"
needs_parity = pytest.mark.skipif(not PARITY.is_dir(), reason="needs ../shared/parity")


def goldens(name: str) -> dict[str, np.ndarray]:
    """The arrays of a file that `tests/goldens/make_goldens.py` made: "networks", "pipeline"."""
    return dict(np.load(GOLDENS / f"{name}.npz"))


def filler(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Draw standard normal float64 numbers that depend only on a name."""
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
