"""Renderer of images that move as a mesh of triangles, such as puppets: a piecewise-affine warp.

Pixel centres have whole coordinates, as landmarks do. A frame is built backwards: each pixel looks
up its triangle, whose affine map gives its source in the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import cv2
import numpy as np

from src.render.renderer import Renderer

_SUBPIXEL_BITS = 6  # binary places of a pixel to which vertices are rasterised
_LEAST_AREA = 1e-6  # twice the area in square pixels below which a triangle is a line


class MeshRenderer(Renderer):
    """Renders an image over a background by moving the vertices of its mesh.

    A triangle that is folded over in a frame is drawn mirrored, a collapsed one not at all; without
    a triangle the background shows, and an image without alpha is black.

    Args:
        image: uint8 (H, W, 3) BGR or (H, W, 4) BGRA.
        vertices_of: from landmarks (68, >= 2) in pixels of the image to the mesh's vertices (V, 2),
            which may lie far outside of it.
        triangles: (M, 3) indices of vertices; where they overlap in a frame, later ones lie on top.
        landmarks: (68, >= 2) of the image as it is.
        background: uint8 BGR (H, W, 3) behind the image's alpha; white by default.

    Raises:
        ValueError: shapes, indices or numbers that do not fit.
    """

    def __init__(
        self,
        image: np.ndarray,
        vertices_of: Callable[[np.ndarray], np.ndarray],
        triangles: np.ndarray,
        landmarks: np.ndarray,
        background: np.ndarray | None = None,
    ) -> None:
        if image.ndim != 3 or image.shape[2] not in (3, 4) or image.dtype != np.uint8:
            raise ValueError(f"an image (H, W, 3 or 4) of uint8 was expected, not {image.shape}")
        shape = (*image.shape[:2], 3)
        if background is None:
            background = np.full(shape, 255, np.uint8)
        if background.shape != shape:
            raise ValueError(f"background of {background.shape} for an image of {image.shape}")
        if image.shape[2] == 4 and (image[:, :, 3] < 255).any():
            layers = premultiplied(image), background
        else:
            layers = np.ascontiguousarray(image[:, :, :3]), None
        self.vertices_of = vertices_of
        self.triangles = np.asarray(triangles, np.int64)
        if self.triangles.ndim != 2 or self.triangles.shape[1] != 3:
            raise ValueError("triangles must have the shape (M, 3)")
        self._targets = self._corners(landmarks)
        # Numbers of triangles that fit a byte can go through cv2.LUT.
        self._index = np.zeros(shape[:2], np.uint8 if len(self.triangles) < 256 else np.int16)
        self._sample = OpenCVSampler(*layers)

    def frames(self, landmarks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Render landmarks (T, 68, >= 2), one frame at a time."""
        for face in landmarks:
            yield self.render(face)

    def render(self, landmarks: np.ndarray) -> np.ndarray:
        """The frame (H, W, 3) uint8 BGR for landmarks (68, >= 2) in pixels of the image."""
        corners = self._corners(landmarks)
        coefficients, collapsed = affine_maps(corners, self._targets)
        # Far vertices are kept from overflow, which OpenCV computes in 16 more binary places.
        limit = 2**31 - 1
        outlines = np.round(corners * (1 << _SUBPIXEL_BITS)).clip(-limit, limit).astype(np.int32)
        self._index[:] = 0
        for number in np.flatnonzero(~collapsed).tolist():
            cv2.fillConvexPoly(
                self._index, outlines[number], number + 1, cv2.LINE_8, _SUBPIXEL_BITS
            )
        return self._sample(self._index, coefficients)

    def _corners(self, landmarks: np.ndarray) -> np.ndarray:
        """Corners (M, 3, 2) of the triangles for landmarks (68, >= 2)."""
        vertices = np.asarray(self.vertices_of(landmarks), np.float64)
        if vertices.ndim != 2 or vertices.shape[1] != 2 or not np.isfinite(vertices).all():
            raise ValueError("vertices must be finite numbers of shape (V, 2)")
        used = self.triangles
        if used.size and (used.min() < 0 or used.max() >= len(vertices)):
            raise ValueError(f"a triangle names a vertex outside 0 to {len(vertices) - 1}")
        return vertices[used]


class OpenCVSampler:
    """Samples an image through the affine maps of triangles, and composites the result.

    Args:
        image: uint8 (H, W, 3) without a background, or premultiplied (H, W, 4) with one.
        background: uint8 (H, W, 3) or None.
    """

    def __init__(self, image: np.ndarray, background: np.ndarray | None) -> None:
        self._image = image
        self._background = background
        height, width = image.shape[:2]
        self._columns = np.arange(width, dtype=np.float32)[None, :].repeat(height, 0)
        self._rows = np.arange(height, dtype=np.float32)[:, None].repeat(width, 1)
        self._term = np.empty((height, width), np.float32)
        self._maps = [np.empty((height, width), np.float32) for _ in "xy"]

    def __call__(self, index: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """Render a frame (H, W, 3) uint8.

        Args:
            index: (H, W), 1 + the number of each pixel's triangle, 0 for none.
            coefficients: (M, 2, 3) of the triangles' maps, see `affine_maps`.
        """
        tables = np.zeros((2, 3, max(256, len(coefficients) + 1)), np.float32)
        tables[:, :, 1 : len(coefficients) + 1] = coefficients.transpose(1, 2, 0)
        look_up = cv2.LUT if index.dtype == np.uint8 else _take
        for target, (a, b, c) in zip(self._maps, tables, strict=True):
            look_up(index, a, target)
            cv2.multiply(target, self._columns, target)
            look_up(index, b, self._term)
            cv2.multiply(self._term, self._rows, self._term)
            cv2.add(target, self._term, target)
            look_up(index, c, self._term)
            cv2.add(target, self._term, target)
        frame = cv2.remap(
            self._image, *self._maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        if cv2.countNonZero(index) < index.size:
            frame[index == 0] = 0
        if self._background is None:
            return frame
        remainder = cv2.bitwise_not(cv2.extractChannel(frame, 3))
        behind = cv2.multiply(self._background, cv2.merge([remainder] * 3), scale=1 / 255)
        return cv2.add(behind, cv2.cvtColor(frame, cv2.COLOR_BGRA2BGR))


def _take(index: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    np.take(table, index, out=out, mode="clip")


def affine_maps(corners: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Affine maps that take triangles (M, 3, 2) to triangles (M, 3, 2).

    Returns:
        (M, 2, 3) coefficients a, b, c of a x + b y + c for x and y, and (M,) booleans: triangles
        that are collapsed to a line and have no map.
    """
    first = corners[:, 0]
    u, v = corners[:, 1] - first, corners[:, 2] - first
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    collapsed = np.abs(area) < _LEAST_AREA
    scale = 1.0 / np.where(collapsed, 1.0, area)
    p, q = targets[:, 1] - targets[:, 0], targets[:, 2] - targets[:, 0]
    a = (p * v[:, 1:] - q * u[:, 1:]) * scale[:, None]
    b = (q * u[:, :1] - p * v[:, :1]) * scale[:, None]
    c = targets[:, 0] - a * first[:, :1] - b * first[:, 1:]
    return np.stack([a, b, c], -1), collapsed


def premultiplied(image: np.ndarray) -> np.ndarray:
    """An image (H, W, 4) uint8 with its colours multiplied by its alpha, to be interpolated."""
    alpha = image[:, :, 3:].astype(np.uint16)
    colours = (image[:, :, :3] * alpha + 127) // 255
    return np.dstack([colours.astype(np.uint8), image[:, :, 3]])
