"""Renderer of a puppet: its drawing warped over its mesh, on a background."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src.puppets.puppet import Puppet
from src.render.mesh import MeshRenderer

if TYPE_CHECKING:
    import torch


def puppet_renderer(
    puppet: Puppet,
    background: np.ndarray | None = None,
    device: torch.device | str | None = None,
) -> MeshRenderer:
    """The renderer of a puppet over a background (H, W, 3) uint8 BGR, white by default.

    Args:
        device: see `src.render.mesh.PiecewiseWarp`.
    """
    mesh = puppet.picture, puppet.vertices, puppet.triangles, puppet.landmarks
    return MeshRenderer(*mesh, background, device)
