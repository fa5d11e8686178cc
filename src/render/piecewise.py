"""Exact piecewise-affine warp of a picture over a triangulation.

Pixel centres have whole coordinates, as landmarks do. A frame is built backwards: every pixel looks
up the triangle it lies in, the triangle's affine map says where in the picture it comes from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    import torch

# Triangles whose numbers fit a byte (0: none), which cv2.LUT turns into coefficients at once.
GROUP = 255
# Vertices are rasterised to this many binary places of a pixel.
SUBPIXEL_BITS = 6
# Twice the area in square pixels below which a triangle is a line, which maps to nothing.
LEAST_AREA = 1e-6
OPAQUE = 255


def sample(picture: np.ndarray, source: np.ndarray, interpolation: int) -> np.ndarray:
    """Picture at places (H, W, 2) float32 of x and y; beyond its border the border goes on."""
    return cv2.remap(picture, source, None, interpolation, borderMode=cv2.BORDER_REPLICATE)


class PiecewiseWarp:
    """Warps one picture to many sets of vertices.

    reference_vertices: (V, 2) pixels of the picture, x and y; they may lie far outside of it.
    triangles: (M, 3) indices of vertices; where they overlap in a frame, later ones lie on top.
    picture: (H, W) or (H, W, C) uint8, 1 to 4 channels, all of them interpolated alike (alpha too:
    for compositing, give a picture whose colours are multiplied by alpha, see `premultiplied`).
    background: (H, W, 3) uint8 behind a picture of 4 channels; frames then have 3.
    device: of PyTorch, where frames are looked up and composited, to the same numbers; without
    one, OpenCV does it on the processor, where it is faster.

    A triangle folded over in a frame is drawn mirrored, a collapsed one not at all; without a
    triangle all channels are 0. Raises ValueError for shapes or indices that do not fit.
    """

    def __init__(
        self,
        reference_vertices: np.ndarray,
        triangles: np.ndarray,
        picture: np.ndarray,
        background: np.ndarray | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        reference = np.asarray(reference_vertices, np.float64)
        self.triangles = np.asarray(triangles, np.int64)
        if reference.ndim != 2 or reference.shape[1] != 2 or not np.isfinite(reference).all():
            raise ValueError("reference vertices must be finite numbers of shape (V, 2)")
        if self.triangles.ndim != 2 or self.triangles.shape[1] != 3:
            raise ValueError("triangles must have the shape (M, 3)")
        count = len(reference)
        if self.triangles.size and (self.triangles.min() < 0 or self.triangles.max() >= count):
            raise ValueError(f"a triangle names a vertex outside 0 to {count - 1}")
        if picture.ndim not in (2, 3) or picture.dtype != np.uint8:
            raise ValueError("the picture must be uint8 of shape (H, W) or (H, W, C)")
        if background is not None and (
            picture.shape[2:] != (4,) or background.shape != (*picture.shape[:2], 3)
        ):
            raise ValueError(f"a background of {background.shape} behind {picture.shape}")
        self.vertex_count = count
        self.picture = np.ascontiguousarray(picture)
        self._background = background
        height, width = picture.shape[:2]
        self._corners = reference[self.triangles]
        self._sampler = None
        if device is not None:
            from src.render.piecewise_torch import TorchSampler

            self._sampler = TorchSampler(self.picture, background, device)
            self._index = np.zeros((height, width), np.int16)
            return
        self._columns = np.arange(width, dtype=np.float32)[None, :].repeat(height, 0)
        self._rows = np.arange(height, dtype=np.float32)[:, None].repeat(width, 1)
        self._index = np.zeros((height, width), np.uint8)
        self._term = np.empty((height, width), np.float32)
        self._maps = [np.empty((height, width), np.float32) for _ in "xy"]

    def render(self, vertices: np.ndarray) -> np.ndarray:
        """The picture with its vertices at (V, 2) pixels: an array of the picture's shape.

        Over a background, (H, W, 3).
        """
        vertices = np.asarray(vertices, np.float64)
        if vertices.shape != (self.vertex_count, 2) or not np.isfinite(vertices).all():
            raise ValueError(f"vertices must be finite numbers of shape ({self.vertex_count}, 2)")
        corners = vertices[self.triangles]
        coefficients, flat = affine_maps(corners, self._corners)
        outlines = self._outlines(corners)
        if self._sampler is not None:
            self._rasterise(outlines, flat)
            return self._sampler(self._index, coefficients)
        covered = None
        for start in range(0, len(corners), GROUP):
            part = slice(start, start + GROUP)
            self._rasterise(outlines[part], flat[part])
            maps = self._maps if start == 0 else [np.empty_like(m) for m in self._maps]
            for target, rows in zip(maps, np.moveaxis(coefficients[part], 1, 0), strict=True):
                self._evaluate(rows, target)
            if start == 0:
                covered = self._index if len(corners) <= GROUP else self._index.copy()
            else:
                for whole, extra in zip(self._maps, maps, strict=True):
                    cv2.copyTo(extra, self._index, whole)
                covered |= self._index
        if covered is None:
            frame = np.zeros_like(self.picture)
        else:
            frame = cv2.remap(
                self.picture, *self._maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
            if cv2.countNonZero(covered) < covered.size:
                frame[covered == 0] = 0
        if self._background is not None:
            return over(frame, self._background)
        return frame.reshape(self.picture.shape)

    def _outlines(self, corners: np.ndarray) -> np.ndarray:
        """Corners as the whole numbers that OpenCV draws from."""
        # Far vertices stay far from overflow, which OpenCV computes in 16 more binary places.
        limit = 2**31 - 1
        scaled = np.round(corners * (1 << SUBPIXEL_BITS))
        return np.clip(scaled, -limit, limit).astype(np.int32)

    def _rasterise(self, outlines: np.ndarray, flat: np.ndarray) -> None:
        """Writes 1 + the number of the last triangle over each pixel."""
        self._index[:] = 0
        for number, (outline, is_flat) in enumerate(zip(outlines, flat, strict=True), 1):
            if not is_flat:
                cv2.fillConvexPoly(self._index, outline, number, cv2.LINE_8, SUBPIXEL_BITS)

    def _evaluate(self, rows: np.ndarray, target: np.ndarray) -> None:
        """target = a x + b y + c with each pixel's own a, b and c; rows: (M, 3)."""
        table = np.zeros((3, 256), np.float32)
        table[:, 1 : len(rows) + 1] = rows.T
        cv2.LUT(self._index, table[0], target)
        cv2.multiply(target, self._columns, target)
        for coefficient, factor in ((table[1], self._rows), (table[2], None)):
            cv2.LUT(self._index, coefficient, self._term)
            if factor is not None:
                cv2.multiply(self._term, factor, self._term)
            cv2.add(target, self._term, target)


def affine_maps(corners: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Affine maps that take triangles (M, 3, 2) to triangles (M, 3, 2).

    Returns (M, 2, 3) coefficients a, b, c of a x + b y + c for x and y, and (M,): which triangles
    are lines and have no map.
    """
    first = corners[:, 0]
    u, v = corners[:, 1] - first, corners[:, 2] - first
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    flat = np.abs(area) < LEAST_AREA
    scale = 1.0 / np.where(flat, 1.0, area)
    p, q = targets[:, 1] - targets[:, 0], targets[:, 2] - targets[:, 0]
    a = (p * v[:, 1:] - q * u[:, 1:]) * scale[:, None]
    b = (q * u[:, :1] - p * v[:, :1]) * scale[:, None]
    c = targets[:, 0] - a * first[:, :1] - b * first[:, 1:]
    return np.stack([a, b, c], -1), flat


def premultiplied(picture: np.ndarray) -> np.ndarray:
    """A drawing (H, W, 4) with its colours multiplied by its alpha, which can be interpolated."""
    alpha = picture[:, :, 3:].astype(np.uint16)
    colours = (picture[:, :, :3] * alpha + OPAQUE // 2) // OPAQUE
    return np.dstack([colours.astype(np.uint8), picture[:, :, 3]])


def over(drawing: np.ndarray, background: np.ndarray) -> np.ndarray:
    """A premultiplied drawing (H, W, 4) over a background (H, W, 3), all uint8."""
    remainder = cv2.bitwise_not(cv2.extractChannel(drawing, 3))
    behind = cv2.multiply(background, cv2.merge([remainder] * 3), scale=1 / OPAQUE)
    return cv2.add(behind, cv2.cvtColor(drawing, cv2.COLOR_BGRA2BGR))
