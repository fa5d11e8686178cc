"""Triangle mesh of a puppet: its vertices are landmarks and fixed points outside of them."""

from __future__ import annotations

import itertools
from collections import deque

import numpy as np
from scipy.spatial import Delaunay

from src.face.topology import EYES, INNER_LIPS, OUTER_LIPS

VERTEX_LAYOUTS = {80: (False, 12), 76: (False, 8), 68: (True, 12), 64: (True, 8)}
"""Number of vertices: (whether the outer lips are left out, number of outside points)."""

MARGINS = {12: 5000, 8: 0}
"""Distance in pixels of the outside points from the image, by their number (published release).
Distant points let the image's border move with the head; at 0 the border does not move."""


def outside_points(
    width: int, height: int, count: int = 12, margin: int | None = None
) -> np.ndarray:
    """Fixed vertices (count, 2) round an image, in pixels and in the release's order.

    Args:
        width: of the image in pixels.
        height: of the image in pixels.
        count: 8 (corners and middles of the sides) or 12 (and quarters of the left and top side).
        margin: distance from the image in pixels; from `MARGINS` by default.
    """
    margin = MARGINS[count] if margin is None else margin
    right, bottom = width - 1, height - 1
    x_far, y_far = right + margin, bottom + margin
    quarters = (1, 2, 3) if count == 12 else (2,)
    return np.array(
        [
            (-margin, -margin),
            *((-margin, quarter * bottom // 4) for quarter in quarters),
            (-margin, y_far),
            (right // 2, y_far),
            (x_far, y_far),
            (x_far, bottom // 2),
            (x_far, -margin),
            *((quarter * right // 4, -margin) for quarter in quarters),
        ],
        np.float64,
    )


def mesh_vertices(landmarks: np.ndarray, outside: np.ndarray, inner_lip: bool) -> np.ndarray:
    """Vertices (V, 2) from landmarks (68, >=2) and outside points; `inner_lip`: no outer lips."""
    points = np.asarray(landmarks, np.float64)[:, :2]
    if inner_lip:
        points = np.delete(points, OUTER_LIPS, axis=0)
    return np.concatenate([points, outside])


def delaunay(vertices: np.ndarray) -> np.ndarray:
    """Plain Delaunay triangles (M, 3) of vertices (V, 2)."""
    return Delaunay(vertices).simplices.astype(np.int64)


def triangulate(vertices: np.ndarray, inner_lip: bool) -> np.ndarray:
    """Triangles (M, 3) of a mesh that keep the outlines of lips and eyes.

    A mouth closes along its outline: a triangle across it would show teeth between closed lips.
    Triangles inside the mouth come first, so that the others hide them where closing lips overlap.

    Args:
        vertices: (V, 2) pixels, from `mesh_vertices`.
        inner_lip: the outer lips are left out of them.
    """
    omitted = OUTER_LIPS.stop - OUTER_LIPS.start if inner_lip else 0
    mouth = slice(INNER_LIPS.start - omitted, INNER_LIPS.stop - omitted)
    edges = []
    for loop in (*EYES, mouth) if inner_lip else (*EYES, OUTER_LIPS, mouth):
        points = range(loop.start, loop.stop)
        edges += list(zip(points, [*points[1:], points[0]], strict=True))
    triangles = with_edges(vertices, delaunay(vertices), edges)
    inside = ((triangles >= mouth.start) & (triangles < mouth.stop)).all(axis=1)
    return np.concatenate([triangles[inside], triangles[~inside]])


def with_edges(
    vertices: np.ndarray, triangles: np.ndarray, edges: list[tuple[int, int]]
) -> np.ndarray:
    """A triangulation (M, 3) that contains the edges, by flipping what crosses them (Sloan 1993).

    An edge that runs through another vertex or crosses an earlier one of `edges` is left out.
    """

    def side(a: int, b: int, c: int) -> float:
        u, v = vertices[b] - vertices[a], vertices[c] - vertices[a]
        return float(u[0] * v[1] - u[1] * v[0])

    def cross(a: int, b: int, c: int, d: int) -> bool:
        return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0

    faces = [frozenset(map(int, triangle)) for triangle in triangles]
    kept = {frozenset(edge) for edge in edges}
    for a, b in edges:
        present = {frozenset(pair) for face in faces for pair in itertools.combinations(face, 2)}
        crossing = deque(edge for edge in present - kept if cross(a, b, *edge))
        for _ in range(len(crossing) ** 2 + 1):
            if not crossing:
                break
            edge = crossing.popleft()
            first, second = (number for number, face in enumerate(faces) if edge <= face)
            (e,), (f,) = faces[first] - edge, faces[second] - edge
            if not cross(*edge, e, f):  # diagonals can be swapped in a convex quadrilateral only
                crossing.append(edge)
                continue
            c, d = edge
            faces[first], faces[second] = frozenset((e, f, c)), frozenset((e, f, d))
            if cross(a, b, e, f):
                crossing.append(frozenset((e, f)))
    return np.array([sorted(face) for face in faces], np.int64)
