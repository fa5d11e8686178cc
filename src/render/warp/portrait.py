"""A still portrait that follows moved landmarks, at its own resolution, without a network.

A frame is built backwards: for each of its pixels, where in the portrait it comes from.

1. *Head*: the similarity between the landmarks asked for and the portrait's, dying away from the
   head to border and shoulders (`field.HeadFollow`). Hair goes along, the background rests.
2. *Face*: what remains (lips, jaw, brows, turning) is a smooth field through the landmarks
   (`field.Sheet`), one for either lip, so that nothing is stretched across the mouth.
3. *Lids*: the eyeball stays, the skin above and below comes over it (`eyes.Eyelids`).
4. *Mouth*: between the lips the inside shows: the portrait's own teeth where they are seen, painted
   ones where not (`lips.Lips`, `mouth.MouthInside`).

Landmarks are the 68 points of `src.face.topology`; only their x and y are used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np

from src.face.registration import similarity_matrix
from src.face.topology import EYELID_PAIRS, FACE_WITHOUT_LIPS, LANDMARK_COUNT
from src.render.warp.eyes import EYES, Eyelids
from src.render.warp.field import FACE_EGG, FaceFrame, Grid, HeadFollow, Sheet, egg_radius
from src.render.warp.lips import (
    LOWER_INNER,
    LOWER_OUTER,
    UPPER_INNER,
    UPPER_OUTER,
    Lips,
    MouthLine,
)
from src.render.warp.plane import (
    apply,
    clipped_box,
    curve,
    invert,
    part,
    sample,
    smoothstep,
    whole,
)

if TYPE_CHECKING:
    import torch

    from src.face.crop import FaceCrop
    from src.models.image_translation import ResUnetGenerator

# Points that move with the skull, to find the head's motion by.
_SKULL = [0, 1, 2, 14, 15, 16, 27, 28, 29, 30, 31, 33, 35, 36, 39, 42, 45]
# Lids are not part of the field: they slide over the eyeball.
_LIDS = {point for pair in EYELID_PAIRS for point in pair}
# Lips are followed exactly. The rest gives way, by up to so many face units, where neighbours pull
# apart: in a half profile jaw and nose nearly meet, and exactness would fold what lies between.
_SLACK = np.full(LANDMARK_COUNT, 1e-5)
_SLACK[0:17], _SLACK[17:27], _SLACK[27:36], _SLACK[36:48] = 0.05, 0.02, 0.02, 0.004
# Neighbours (skull, brows, jaw) change their distance by no more than this share of it.
_MOST_STRAIN = 0.55
# Nodes of the fields per face unit, and per mouth width round the mouth; more look no better.
_NODES_PER_FACE = 44
_NODES_PER_MOUTH = 30


class WarpRenderer:
    """Renders a portrait with other landmarks.

    picture: (H, W, 3) uint8 BGR. landmarks: (68, 2 or 3) pixels of the picture, which `render`
    takes for rest: asked for them, it gives the picture back. Raises ValueError for other shapes.
    """

    def __init__(self, picture: np.ndarray, landmarks: np.ndarray) -> None:
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            raise ValueError(f"a picture (H, W, 3) of uint8 was expected, not {picture.shape}")
        self.image = np.ascontiguousarray(picture)
        self.asked_at_rest = _flat(landmarks)
        self.lips = Lips(self.image, self.asked_at_rest)
        self.rest = self.lips.rest
        self.eyelids = [Eyelids(self.image, self.rest, eye) for eye in EYES]

        self.frame = FaceFrame(self.rest)
        size = whole(picture)[2:]
        self.follow = HeadFollow(self.frame, size, self.rest)
        corners = self.follow.corners()
        box = clipped_box(corners.min(0), corners.max(0), whole(picture))
        self.grid = Grid(box, max(2, round(self.frame.unit / _NODES_PER_FACE)))
        self.grid_follow = self.follow(self.grid.nodes).astype(np.float32)
        self._prepare_controls()

    def _prepare_controls(self) -> None:
        """Control points of the two sheets, and which points must keep their distance."""
        angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        ring = np.stack([np.cos(angle), np.sin(angle)], 1)
        # Round the face, in hair and neck, nothing moves but with the head.
        self.ring = self.frame.pixels(ring / egg_radius(ring, FACE_EGG)[:, None])
        shared = [i for i in range(FACE_WITHOUT_LIPS.stop) if i not in _LIDS]
        self.upper_points = [*shared, *UPPER_OUTER, *UPPER_INNER]
        self.lower_points = [*shared, *LOWER_OUTER, *LOWER_INNER]
        still = np.array([*shared, 48, 54])
        self.edges = still[delaunay_edges(self.rest[still])].T
        lengths = np.linalg.norm(np.subtract(*self.rest[self.edges]), axis=1)
        self.edge_lengths = np.maximum(lengths, 0.08 * self.frame.unit)

    def render(self, landmarks: np.ndarray) -> np.ndarray:
        """The portrait with these landmarks (68, 2 or 3) in pixels: (H, W, 3) uint8 BGR."""
        asked = _flat(landmarks)
        if np.abs(asked - self.asked_at_rest).max() < 1e-3:
            return self.image.copy()
        moved = self.lips.corrected(asked)
        head = similarity_matrix(self.rest[_SKULL], moved[_SKULL])
        undo = invert(head)
        moved = self.lips.with_room(self._calmed(moved, head, undo))
        stable = _undone(moved, self.follow(moved), undo)

        upper = self._sheet(stable, self.upper_points, (UPPER_OUTER, UPPER_INNER))
        lower = self._sheet(stable, self.lower_points, (LOWER_OUTER, LOWER_INNER))
        line = MouthLine(moved)
        field = self.grid.enlarge(self._field(undo, upper, lower, line))
        source = self.grid.pixels + field
        self._refine_mouth(source, undo, upper, lower, line, moved[FACE_WITHOUT_LIPS.stop :])

        frame = self.image.copy()
        box = self.grid.box
        view = frame[part(box, whole(frame))]
        view[:] = sample(self.image, source, cv2.INTER_CUBIC)
        for eyelids in self.eyelids:
            eyelids.move(view, box, source, moved)
        self.lips.fill(view, box, moved, stable, head)
        return frame

    def frames(self, landmarks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Render landmarks (T, 68, >= 2), one frame at a time."""
        for face in landmarks:
            yield self.render(face)

    def adapt_landmarks(self, landmarks: np.ndarray) -> np.ndarray:
        """The still landmarks (68, 3) themselves."""
        return landmarks

    def _calmed(self, moved: np.ndarray, head: np.ndarray, undo: np.ndarray) -> np.ndarray:
        """Less of what skull, brows and jaw do among themselves, where it would fold the skin.

        A frontal face's motion, put on a half profile, drives together points that are neighbours
        in this picture. All of it is lessened alike; the lips keep their shape and go along.
        """
        change = apply(undo, moved) - self.rest
        start, end = self.edges
        strain = np.linalg.norm(change[start] - change[end], axis=1) / self.edge_lengths
        share = _MOST_STRAIN / max(float(strain.max(initial=0)), _MOST_STRAIN)
        if share == 1.0:
            return moved
        lips = change[[48, 54]].mean(0)
        first_lip = FACE_WITHOUT_LIPS.stop
        calm = np.concatenate([share * change[:first_lip], change[first_lip:] - (1 - share) * lips])
        return apply(head, self.rest + calm)

    def _sheet(self, stable: np.ndarray, points: list[int], edges: tuple) -> Sheet:
        """Field from where the head's landmarks are to where the portrait's are."""
        at, target = [stable[points]], [self.rest[points]]
        for edge in edges:
            # Half-way points too, so that a lip's edge follows the curve, not only its knots.
            at.append(curve(stable[list(edge)], 2)[1::2])
            target.append(curve(self.rest[list(edge)], 2)[1::2])
        at, target = np.concatenate([*at, self.ring]), np.concatenate([*target, self.ring])
        slack = np.full(len(at), 1e-5)
        slack[: len(points)] = _SLACK[points]
        return Sheet(at, target - at, slack, self.frame.unit)

    def _field(self, undo: np.ndarray, upper: Sheet, lower: Sheet, line: MouthLine) -> np.ndarray:
        """Displacement (N, 2) from the frame to the portrait at the grid's nodes."""
        nodes = self.grid.nodes
        stable = _undone(nodes, self.grid_follow, undo.astype(np.float32))
        displacement = stable - nodes
        radius = egg_radius(self.frame.local(stable), FACE_EGG)
        near = np.flatnonzero(radius < 1.25)
        lower_share = line.lower_share(nodes[near], self.grid.step)
        local = np.zeros((len(near), 2), np.float32)
        for sheet, share in ((upper, 1.0 - lower_share), (lower, lower_share)):
            used = np.flatnonzero(share > 0)
            local[used] += share[used, None] * sheet(stable[near[used]])
        fade = 1.0 - smoothstep((radius[near] - 1.0) / 0.25)
        displacement[near] += fade[:, None] * local
        return displacement

    def _refine_mouth(
        self,
        source: np.ndarray,
        undo: np.ndarray,
        upper: Sheet,
        lower: Sheet,
        line: MouthLine,
        lips: np.ndarray,
    ) -> None:
        """Puts a finer field round the mouth, cut to the pixel where the lips (20, 2) part."""
        margin = 0.35 * self.lips.width
        box = clipped_box(lips.min(0) - margin, lips.max(0) + margin, self.grid.box)
        if box[2] - box[0] < 3 or box[3] - box[1] < 3:
            return
        grid = Grid(box, max(1, int(self.lips.width / _NODES_PER_MOUTH)))
        stable = _undone(grid.nodes, self.follow(grid.nodes), undo)
        head = stable - grid.nodes
        both = grid.enlarge(np.concatenate([head + upper(stable), head + lower(stable)], 1))
        share = line.lower_share(grid.pixels, 0.5)[..., None]
        fine = grid.pixels + both[..., :2] + share * (both[..., 2:] - both[..., :2])
        x, y = grid.pixels[..., 0], grid.pixels[..., 1]
        edge = np.minimum(
            np.minimum(x - box[0], box[2] - 1 - x), np.minimum(y - box[1], box[3] - 1 - y)
        )
        weight = smoothstep(edge / (0.12 * self.lips.width))[..., None]
        place = part(box, self.grid.box)
        source[place] += weight * (fine - source[place])


def make_warp_renderer(
    image: np.ndarray,
    landmarks: np.ndarray,
    network: ResUnetGenerator | None = None,
    device: torch.device | str = "cpu",
    crop: FaceCrop | None = None,
) -> WarpRenderer:
    """Factory of `src.render.renderer.RENDERERS`; the warp needs no network, device or crop."""
    return WarpRenderer(image, landmarks)


def delaunay_edges(points: np.ndarray) -> np.ndarray:
    """Pairs (E, 2) of neighbours among points (N, 2) in pixels, the smaller index first.

    Of points in one place only one has neighbours. Where all lie on a line there are none.
    """
    low, high = np.floor(points.min(0)) - 1, np.ceil(points.max(0)) + 2
    mesh = cv2.Subdiv2D((*low.astype(int).tolist(), *(high - low).astype(int).tolist()))
    place_of = {mesh.insert((float(x), float(y))): place for place, (x, y) in enumerate(points)}
    corners = np.array(mesh.getTriangleList()).reshape(-1, 3, 2)
    # OpenCV gives triangles by coordinates, in float32.
    known = points[sorted(place_of.values())]
    apart = np.abs(corners[:, :, None] - known[None, None]).max(-1)
    near = apart.argmin(-1)
    inside = (apart.min(-1) < 1e-2).all(1)
    triangles = np.array(sorted(place_of.values()))[near[inside]]
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    return np.unique(np.sort(edges, 1), axis=0)


def _flat(landmarks: np.ndarray) -> np.ndarray:
    """x and y (68, 2) of landmarks, checked."""
    landmarks = np.asarray(landmarks, np.float64)
    if landmarks.ndim != 2 or len(landmarks) != LANDMARK_COUNT or landmarks.shape[1] < 2:
        raise ValueError(f"landmarks must have the shape (68, 2) or (68, 3), not {landmarks.shape}")
    if not np.isfinite(landmarks[:, :2]).all():
        raise ValueError("landmarks must be finite numbers")
    return landmarks[:, :2].copy()


def _undone(points: np.ndarray, follow: np.ndarray, undo: np.ndarray) -> np.ndarray:
    """Points (N, 2) of a frame with the head's motion taken out as far as they follow it."""
    return points + follow * (apply(undo, points) - points)
