"""A cartoon puppet in memory: an image, its landmarks, and the mesh that moves it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from src.face.geometry import denormalise
from src.puppets.mesh import mesh_vertices
from src.render.mesh import MeshRenderer


@dataclass(frozen=True)
class Puppet:
    """An image with everything that animates it."""

    name: str
    image: np.ndarray  # uint8 (H, W, 3) BGR or (H, W, 4) BGRA
    landmarks: np.ndarray  # (68, 2) pixels of the image, the mouth as it is there
    closed_face: np.ndarray  # (68, 3) normalised, the mouth closed
    scale: float  # negative for an upright face, see geometry.denormalise
    shift: np.ndarray  # (2,) pixels
    triangles: np.ndarray  # (M, 3) vertex indices, later triangles on top
    outside: np.ndarray  # (8 or 12, 2) pixels, vertices that never move
    inner_lip: bool  # the outer lips are left out of the mesh

    @property
    def closed_landmarks(self) -> np.ndarray:
        """The closed face in pixels of the image, (68, 2)."""
        return denormalise(self.closed_face, self.scale, self.shift)[:, :2]

    @property
    def open_face(self) -> np.ndarray:
        """The landmarks normalised, with the depth of the closed face, (68, 3)."""
        points = -(self.landmarks + self.shift) * self.scale
        return np.column_stack([points, self.closed_face[:, 2]])

    def vertices(self, landmarks: np.ndarray) -> np.ndarray:
        """Vertices (V, 2) of the mesh for landmarks (68, >=2) in pixels."""
        return mesh_vertices(landmarks, self.outside, self.inner_lip)

    def renderer(self, background: np.ndarray | None = None) -> MeshRenderer:
        """The renderer over a background (H, W, 3) uint8 BGR, white without one."""
        mesh = self.image, self.vertices, self.triangles, self.landmarks
        return MeshRenderer(*mesh, background)
