"""The warp renderer: a still portrait follows landmarks at its own resolution, without a network.

A frame is built backwards: each of its pixels looks up its source in the portrait.

1. *Head*: the similarity between the frame's landmarks and the portrait's, dying away from the head
   to border and shoulders (`field.HeadFollow`). Hair goes along, the background rests.
2. *Face*: the remaining motion (lips, jaw, brows, turning) is a smooth field through the landmarks
   (`field.SmoothField`), one for either lip, so that nothing is stretched across the mouth.
3. *Lids*: the eyeball stays, the skin above and below moves over it (`eyes.Eyelids`).
4. *Mouth*: between the lips the inside shows: the portrait's own teeth where they are visible,
   synthetic ones elsewhere (`lips.Lips`, `mouth.MouthInside`).

Landmarks are the 68 points of `src.face.topology`; only their x and y are used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial import Delaunay, QhullError

from src.face.registration import similarity_matrix
from src.face.topology import (
    BROWS,
    EYELID_EDGES,
    EYELID_PAIRS,
    FACE_WITHOUT_LIPS,
    HEAD_POINTS,
    LANDMARK_COUNT,
    LIPS,
    LOWER_INNER_LIP,
    LOWER_OUTER_LIP,
    MOUTH_CORNERS,
    UPPER_INNER_LIP,
    UPPER_OUTER_LIP,
)
from src.render.renderer import Renderer
from src.render.warp.eyes import Eyelids
from src.render.warp.field import (
    FACE_OVAL,
    Grid,
    HeadFollow,
    SmoothField,
    face_axes,
    oval_radius,
)
from src.render.warp.lips import Lips, MouthLine
from src.render.warp.plane import Box, apply, curve, sample, smoothstep

# Points of the fields besides the lips. Lids are not among them: they slide over the eyeball.
_LIDS = {point for pair in EYELID_PAIRS for point in pair}
_FACE_POINTS = [i for i in range(FACE_WITHOUT_LIPS.stop) if i not in _LIDS]
_UPPER_LIP, _LOWER_LIP = (UPPER_OUTER_LIP, UPPER_INNER_LIP), (LOWER_OUTER_LIP, LOWER_INNER_LIP)
# Face units by which jaw, brows, nose, eyes and lips may miss their landmarks where neighbours pull
# apart: in a half profile jaw and nose nearly meet, and exactness would fold the skin between them.
_SLACK = np.repeat((0.05, 0.02, 0.02, 0.004, 1e-5), (17, 10, 9, 12, 20))
# The greatest change of the distance between neighbours among head, brows and jaw.
_MAX_STRAIN = 0.55
# Nodes of the fields per face unit, and per mouth width around the mouth; more look no better.
_NODES_PER_FACE = 44
_NODES_PER_MOUTH = 30


class WarpRenderer(Renderer):
    """Renders a portrait with other landmarks.

    Args:
        image: the portrait, uint8 BGR (H, W, 3).
        landmarks: (68, >= 2) pixels of the portrait at rest, with which `render` returns it as is.

    Raises:
        ValueError: other shapes, or landmarks that are not finite.
    """

    def __init__(self, image: np.ndarray, landmarks: np.ndarray) -> None:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"an image (H, W, 3) of uint8 was expected, not {image.shape}")
        self.image = np.ascontiguousarray(image)
        self.landmarks = _checked(landmarks)
        self.lips = Lips(self.image, self.landmarks)
        self.rest = self.lips.rest
        self.eyelids = [
            Eyelids(self.image, self.rest, edges, brow)
            for edges, brow in zip(EYELID_EDGES, BROWS, strict=True)
        ]
        self.axes = face_axes(self.rest)
        whole = Box.of(image)
        self.follow = HeadFollow(self.axes, whole.size, self.rest)
        box = Box.around(self.follow.corners(), 0, whole)
        self.grid = Grid(box, max(2, round(self.axes.unit / _NODES_PER_FACE)))
        self.grid_follow = self.follow(self.grid.nodes).astype(np.float32)
        # Control points around the face, in hair and neck, where nothing moves but with the head.
        angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        ring = np.stack([np.cos(angle), np.sin(angle)], 1)
        self.ring = self.axes.pixels(ring / oval_radius(ring, FACE_OVAL)[:, None])
        # Neighbours that must keep their distance.
        points = np.array([*_FACE_POINTS, *MOUTH_CORNERS])
        self.edges = points[delaunay_edges(self.rest[points])].T
        lengths = np.linalg.norm(np.subtract(*self.rest[self.edges]), axis=1)
        self.edge_lengths = np.maximum(lengths, 0.08 * self.axes.unit)

    def frames(self, landmarks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Render landmarks (T, 68, >= 2), one frame at a time."""
        for face in landmarks:
            yield self.render(face)

    def render(self, landmarks: np.ndarray) -> np.ndarray:
        """The portrait with landmarks (68, >= 2) in pixels: (H, W, 3) uint8 BGR."""
        landmarks = _checked(landmarks)
        if np.abs(landmarks - self.landmarks).max() < 1e-3:
            return self.image.copy()
        landmarks = self.lips.correct(landmarks)
        head = similarity_matrix(self.rest[HEAD_POINTS], landmarks[HEAD_POINTS])
        head = np.vstack([head, (0, 0, 1)])
        undo = np.linalg.inv(head)
        landmarks = self.lips.keep_skin(self._limit_strain(landmarks, head, undo))
        pose_free = undo_head_pose(landmarks, self.follow(landmarks), undo)
        motion = _Motion(
            landmarks,
            undo,
            self._smooth_field(pose_free, _UPPER_LIP),
            self._smooth_field(pose_free, _LOWER_LIP),
            MouthLine(landmarks),
        )
        source = self.grid.pixels + self.grid.interpolate(self._displacement(motion))
        self._refine_mouth(source, motion)

        frame = self.image.copy()
        box = self.grid.box
        view = frame[box.slices(Box.of(frame))]
        view[:] = sample(self.image, source, cv2.INTER_CUBIC)
        for eyelids in self.eyelids:
            eyelids.move(view, box, source, landmarks)
        self.lips.fill(view, box, landmarks, pose_free, head)
        return frame

    def _limit_strain(
        self, landmarks: np.ndarray, head: np.ndarray, undo: np.ndarray
    ) -> np.ndarray:
        """Landmarks (68, 2) with less relative motion of head, brows and jaw if it folds the skin.

        A frontal face's motion, applied to a half profile, drives points together that are
        neighbours in this image. All of it is reduced alike; the lips keep their shape and follow.
        """
        change = apply(undo, landmarks) - self.rest
        start, end = self.edges
        strain = np.linalg.norm(change[start] - change[end], axis=1) / self.edge_lengths
        factor = _MAX_STRAIN / max(float(strain.max(initial=0)), _MAX_STRAIN)
        if factor == 1.0:
            return landmarks
        mouth = change[list(MOUTH_CORNERS)].mean(0)
        change[FACE_WITHOUT_LIPS] *= factor
        change[LIPS] -= (1 - factor) * mouth
        return apply(head, self.rest + change)

    def _smooth_field(self, pose_free: np.ndarray, lip: tuple) -> SmoothField:
        """Field from landmarks (68, 2) without head pose to the portrait's, for one of the lips."""
        points = [*_FACE_POINTS, *lip[0], *lip[1]]
        start, end = [pose_free[points]], [self.rest[points]]
        for edge in lip:
            # Half-way points too, so that a lip's edge follows the curve, not only its knots.
            start.append(curve(pose_free[edge], 2)[1::2])
            end.append(curve(self.rest[edge], 2)[1::2])
        start, end = np.concatenate([*start, self.ring]), np.concatenate([*end, self.ring])
        slack = np.full(len(start), 1e-5)
        slack[: len(points)] = _SLACK[points]
        return SmoothField(start, end - start, slack, self.axes.unit)

    def _displacement(self, motion: _Motion) -> np.ndarray:
        """Displacement (N, 2) from the frame to the portrait at the grid's nodes."""
        nodes = self.grid.nodes
        pose_free = undo_head_pose(nodes, self.grid_follow, motion.undo.astype(np.float32))
        displacement = pose_free - nodes
        radius = oval_radius(self.axes.local(pose_free), FACE_OVAL)
        near = np.flatnonzero(radius < 1.25)
        lower = motion.line.lower_weight(nodes[near], self.grid.step)
        local = np.zeros((len(near), 2), np.float32)
        for field, weight in ((motion.upper, 1.0 - lower), (motion.lower, lower)):
            used = np.flatnonzero(weight > 0)
            local[used] += weight[used, None] * field(pose_free[near[used]])
        fade = 1.0 - smoothstep((radius[near] - 1.0) / 0.25)
        displacement[near] += fade[:, None] * local
        return displacement

    def _refine_mouth(self, source: np.ndarray, motion: _Motion) -> None:
        """Put a finer field around the mouth, cut to the pixel where the lips part.

        Args:
            source: (H, W, 2) places in the portrait of the grid's pixels, changed in place.
        """
        width = self.lips.axes.unit
        box = Box.around(motion.landmarks[LIPS], 0.35 * width, self.grid.box)
        if min(box.size) < 3:
            return
        grid = Grid(box, max(1, int(width / _NODES_PER_MOUTH)))
        pose_free = undo_head_pose(grid.nodes, self.follow(grid.nodes), motion.undo)
        head = pose_free - grid.nodes
        fields = [head + motion.upper(pose_free), head + motion.lower(pose_free)]
        both = grid.interpolate(np.concatenate(fields, 1))
        lower = motion.line.lower_weight(grid.pixels, 0.5)[..., None]
        fine = grid.pixels + both[..., :2] + lower * (both[..., 2:] - both[..., :2])
        low, high = np.float32(box[:2]), np.float32(box[2:]) - 1
        inwards = np.minimum(grid.pixels - low, high - grid.pixels).min(-1)
        weight = smoothstep(inwards / (0.12 * width))[..., None]
        place = box.slices(self.grid.box)
        source[place] += weight * (fine - source[place])


class _Motion(NamedTuple):
    """The motion of one frame."""

    landmarks: np.ndarray  # (68, 2) pixels
    undo: np.ndarray  # affine map from the frame's head pose to the portrait's
    upper: SmoothField
    lower: SmoothField
    line: MouthLine


def make_warp_renderer(image: np.ndarray, landmarks: np.ndarray, **_models) -> WarpRenderer:
    """Factory of `src.render.renderer.RENDERERS`; the warp needs no network, device or crop."""
    return WarpRenderer(image, landmarks)


def delaunay_edges(points: np.ndarray) -> np.ndarray:
    """Pairs (E, 2) of neighbours among points (N, 2); none where all lie on a line."""
    try:
        triangles = Delaunay(points).simplices
    except QhullError:
        return np.empty((0, 2), int)
    edges = triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    return np.unique(np.sort(edges, 1), axis=0)


def undo_head_pose(points: np.ndarray, follow: np.ndarray, undo: np.ndarray) -> np.ndarray:
    """Points (N, 2) of a frame without the head's motion, as far as they follow it.

    Args:
        points: (N, 2) pixels.
        follow: (N, 2) weights of `HeadFollow` at the points.
        undo: affine map from the frame's head pose to the portrait's.
    """
    return points + follow * (apply(undo, points) - points)


def _checked(landmarks: np.ndarray) -> np.ndarray:
    """x and y (68, 2) of landmarks, checked."""
    landmarks = np.asarray(landmarks, np.float64)
    if landmarks.ndim != 2 or len(landmarks) != LANDMARK_COUNT or landmarks.shape[1] < 2:
        raise ValueError(f"landmarks must have the shape (68, 2) or (68, 3), not {landmarks.shape}")
    if not np.isfinite(landmarks[:, :2]).all():
        raise ValueError("landmarks must be finite numbers")
    return landmarks[:, :2].copy()
