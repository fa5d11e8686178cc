"""Renderer of images that move as a mesh of triangles, such as puppets: a piecewise-affine warp.

Pixel centres have whole coordinates, as landmarks do. A frame is built backwards: each pixel looks
up its triangle, whose affine map gives its source in the image.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from src.render.renderer import Renderer

MAX_TRIANGLES = 255
"""Numbers of triangles are bytes, 0 for none, which cv2.LUT looks up."""

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
        triangles: (M, 3) indices of vertices, M at most `MAX_TRIANGLES`; where they overlap in a
            frame, later ones lie on top.
        landmarks: (68, >= 2) of the image as it is.
        background: uint8 BGR (H, W, 3) behind the image's alpha; white by default.
    """

    def __init__(
        self,
        image: np.ndarray,
        vertices_of: Callable[[np.ndarray], np.ndarray],
        triangles: np.ndarray,
        landmarks: np.ndarray,
        background: np.ndarray | None = None,
    ) -> None:
        height, width = image.shape[:2]
        if image.shape[2] == 4 and (image[:, :, 3] < 255).any():
            self._image = premultiplied(image)
            if background is None:
                background = np.full((height, width, 3), 255, np.uint8)
            self._background = background
        else:
            self._image, self._background = np.ascontiguousarray(image[:, :, :3]), None
        self._vertices_of = vertices_of
        self._triangles = np.asarray(triangles)
        self._sources = vertices_of(landmarks)[self._triangles]
        self._number = np.empty((height, width), np.uint8)
        self._columns, self._rows = np.meshgrid(
            np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
        )
        self._map_x, self._map_y, self._term = np.empty((3, height, width), np.float32)

    def render(self, landmarks: np.ndarray) -> np.ndarray:
        """The frame (H, W, 3) uint8 BGR for landmarks (68, >= 2) in pixels of the image."""
        corners = np.asarray(self._vertices_of(landmarks), np.float64)[self._triangles]
        homogeneous = np.dstack([corners, np.ones(corners.shape[:2])])
        drawn = np.flatnonzero(np.abs(np.linalg.det(homogeneous)) > _LEAST_AREA)
        coefficients = np.zeros((256, 3, 2), np.float32)
        coefficients[drawn + 1] = np.linalg.solve(homogeneous[drawn], self._sources[drawn])
        # Far vertices are kept from overflow, which OpenCV computes in 16 more binary places.
        limit = 2**31 - 1
        outlines = np.round(corners * (1 << _SUBPIXEL_BITS)).clip(-limit, limit).astype(np.int32)
        self._number[:] = 0
        for i in drawn.tolist():
            cv2.fillConvexPoly(self._number, outlines[i], i + 1, cv2.LINE_8, _SUBPIXEL_BITS)
        self._look_up(self._map_x, coefficients[..., 0])
        self._look_up(self._map_y, coefficients[..., 1])
        frame = cv2.remap(
            self._image,
            self._map_x,
            self._map_y,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        if cv2.countNonZero(self._number) < self._number.size:
            frame[self._number == 0] = 0
        if self._background is None:
            return frame
        remainder = cv2.bitwise_not(cv2.extractChannel(frame, 3))
        behind = cv2.multiply(self._background, cv2.merge([remainder] * 3), scale=1 / 255)
        return cv2.add(behind, cv2.cvtColor(frame, cv2.COLOR_BGRA2BGR))

    def _look_up(self, target: np.ndarray, coefficients: np.ndarray) -> None:
        """Compute a x + b y + c at all pixels, from the (256, 3) coefficients of the triangles."""
        a, b, c = np.ascontiguousarray(coefficients.T)
        cv2.multiply(cv2.LUT(self._number, a, target), self._columns, target)
        cv2.multiply(cv2.LUT(self._number, b, self._term), self._rows, self._term)
        cv2.add(target, self._term, target)
        cv2.add(target, cv2.LUT(self._number, c, self._term), target)


def premultiplied(image: np.ndarray) -> np.ndarray:
    """An image (H, W, 4) uint8 with its colours multiplied by its alpha, to be interpolated."""
    alpha = image[:, :, 3:].astype(np.uint16)
    colours = (image[:, :, :3] * alpha + 127) // 255
    return np.dstack([colours.astype(np.uint8), image[:, :, 3]])
