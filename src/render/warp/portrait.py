"""The warp renderer: a still portrait follows landmarks at its own resolution, without a network.

A frame is built backwards: each of its pixels looks up its source in the portrait.

1. *Head*: the similarity between the frame's landmarks and the portrait's, dying away from the head
   to border and shoulders (`field.HeadFollow`). Hair goes along, the background rests.
2. *Face*: the remaining motion (lips, jaw, brows, turning) is a smooth field through the landmarks
   (`field.smooth_field`), one for either lip, so that nothing is stretched across the mouth.
3. *Lids*: the eyeball stays, the skin above and below moves over it (`eyes.Eyelids`).
4. *Mouth*: between the lips the inside shows: the portrait's own teeth where they are visible,
   synthetic ones elsewhere (`lips.Lips`, `mouth.MouthInside`).

Landmarks are the 68 points of `src.face.topology`; only their x and y are used.
"""

from __future__ import annotations

import cv2
import numpy as np

from src.face.registration import similarity_matrix
from src.face.topology import (
    BROWS,
    EYELID_EDGES,
    EYELID_PAIRS,
    FACE_WITHOUT_LIPS,
    HEAD_POINTS,
    LOWER_INNER_LIP,
    LOWER_OUTER_LIP,
    UPPER_INNER_LIP,
    UPPER_OUTER_LIP,
)
from src.render.renderer import Renderer
from src.render.warp.eyes import Eyelids
from src.render.warp.field import (
    FACE_OVAL,
    Grid,
    HeadFollow,
    face_axes,
    oval_radius,
    smooth_field,
)
from src.render.warp.lips import Lips, lower_lip_weight
from src.render.warp.plane import Box, apply, sample, smoothstep

# Points of the fields besides the lips. Lids are not among them: they slide over the eyeball.
_LIDS = {point for pair in EYELID_PAIRS for point in pair}
_FACE_POINTS = [i for i in range(FACE_WITHOUT_LIPS.stop) if i not in _LIDS]
_UPPER_POINTS = [*_FACE_POINTS, *UPPER_OUTER_LIP, *UPPER_INNER_LIP]
_LOWER_POINTS = [*_FACE_POINTS, *LOWER_OUTER_LIP, *LOWER_INNER_LIP]
# Face units by which jaw, brows, nose, eyes and lips may miss their landmarks where neighbours pull
# apart: in a half profile jaw and nose nearly meet, and exactness would fold the skin between them.
_SLACK = np.repeat((0.05, 0.02, 0.02, 0.004, 1e-5), (17, 10, 9, 12, 20))
_NODES_PER_FACE = 44  # of the grid per face unit; more look no better
_LEAST_MOTION = 1e-3  # pixels; a face that moves less is the portrait itself


class WarpRenderer(Renderer):
    """Renders a portrait with other landmarks.

    Args:
        image: the portrait, uint8 BGR (H, W, 3).
        landmarks: (68, >= 2) pixels of the portrait at rest, with which `render` returns it as is.
    """

    def __init__(self, image: np.ndarray, landmarks: np.ndarray) -> None:
        self.image = np.ascontiguousarray(image)
        self.landmarks = np.array(landmarks[:, :2], np.float64)
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

    def render(self, landmarks: np.ndarray) -> np.ndarray:
        """The frame (H, W, 3) uint8 BGR for landmarks (68, >= 2) in pixels of the image."""
        landmarks = np.array(landmarks[:, :2], np.float64)
        frame = self.image.copy()
        if np.abs(landmarks - self.landmarks).max() < _LEAST_MOTION:
            return frame
        landmarks = self.lips.adapt(landmarks)
        head = similarity_matrix(self.rest[HEAD_POINTS], landmarks[HEAD_POINTS])
        head = np.vstack([head, (0, 0, 1)])
        undo = np.linalg.inv(head)
        pose_free = undo_head_pose(landmarks, self.follow(landmarks), undo)
        displacement = self._displacement(landmarks, pose_free, undo)
        source = self.grid.pixels + self.grid.interpolate(displacement)

        box = self.grid.box
        view = frame[box.slices(Box.of(frame))]
        view[:] = sample(self.image, source, cv2.INTER_CUBIC)
        for eyelids in self.eyelids:
            eyelids.move(view, box, source, landmarks)
        self.lips.fill(view, box, landmarks, pose_free, head)
        return frame

    def _displacement(
        self, landmarks: np.ndarray, pose_free: np.ndarray, undo: np.ndarray
    ) -> np.ndarray:
        """Displacement (N, 2) from the frame to the portrait at the grid's nodes.

        Args:
            landmarks: (68, 2) pixels of the frame.
            pose_free: the same without the head's motion.
            undo: affine map from the frame's head pose to the portrait's.
        """
        nodes = self.grid.nodes
        nodes_pose_free = undo_head_pose(nodes, self.grid_follow, undo.astype(np.float32))
        displacement = nodes_pose_free - nodes
        radius = oval_radius(self.axes.local(nodes_pose_free), FACE_OVAL)
        near = np.flatnonzero(radius < 1.25)
        lower = lower_lip_weight(nodes[near], landmarks, self.grid.step)
        local = np.zeros((len(near), 2), np.float32)
        for points, weight in ((_UPPER_POINTS, 1.0 - lower), (_LOWER_POINTS, lower)):
            start = np.concatenate([pose_free[points], self.ring])
            end = np.concatenate([self.rest[points], self.ring])
            slack = np.concatenate([_SLACK[points], np.full(len(self.ring), 1e-5)])
            used = np.flatnonzero(weight > 0)
            places = nodes_pose_free[near[used]]
            moved = smooth_field(places, start, end - start, slack, self.axes.unit)
            local[used] += weight[used, None] * moved
        fade = 1.0 - smoothstep((radius[near] - 1.0) / 0.25)
        displacement[near] += fade[:, None] * local
        return displacement


def make_warp_renderer(image: np.ndarray, landmarks: np.ndarray, **_models) -> WarpRenderer:
    """Factory of `src.render.renderer.RENDERERS`; the warp needs no network, device or crop."""
    return WarpRenderer(image, landmarks)


def undo_head_pose(points: np.ndarray, follow: np.ndarray, undo: np.ndarray) -> np.ndarray:
    """Points (N, 2) of a frame without the head's motion, as far as they follow it.

    Args:
        points: (N, 2) pixels.
        follow: (N, 2) weights of `HeadFollow` at the points.
        undo: affine map from the frame's head pose to the portrait's.
    """
    return points + follow * (apply(undo, points) - points)
