"""Lids that close over the eyes of a portrait: its own skin, drawn down over the eyeball."""

import cv2
import numpy as np

from src.render.warp.plane import LUMINANCE, Axes, Box, curve, pixels_near, sample, smoothstep

# Heights and widths below are in eye units: the distance between an eye's corners.

# Positions along an eye, 0 and 1 its corners, at which the colour of its closed lid is known.
_POSITIONS = np.linspace(0, 1, 17, dtype=np.float32)
# Corners of the part of a frame that lids can change.
_REACH = np.array([(x, y) for x in (-0.15, 1.15) for y in (-0.9, 0.8)])
_LEAST_CHANGE = 0.004  # less motion than this is none
_FULL_CLOSING = 0.20  # a lid that moved down so far is fully smoothed
_COVERED = 0.33  # an eye darker than this fraction of the cheek is covered by dark glasses


class Eye:
    """The edges of one eye in eye units: origin in the corner of smaller x, y down.

    Args:
        landmarks: (68, 2) pixels.
        edges: of the upper and the lower lid, one of `src.face.topology.EYELID_EDGES`.
        brow: one of `src.face.topology.BROWS`.
    """

    def __init__(self, landmarks: np.ndarray, edges: tuple, brow: slice) -> None:
        upper, lower = (landmarks[edge] for edge in edges)
        self.axes = Axes.along(upper[0], upper[-1])
        self.upper = curve(self.axes.local(upper), 6)
        self.lower = curve(self.axes.local(lower), 6)
        self.brow = self.axes.local(landmarks[brow])


def height(edge: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Height of an edge (upper, lower or brow) at positions x along the eye."""
    return np.interp(x, edge[:, 0], edge[:, 1]).astype(np.float32)


class Eyelids:
    """The lids of one eye of a portrait.

    Args:
        image: (H, W, 3) uint8 BGR.
        landmarks: (68, 2) pixels at rest.
        edges: see `Eye`.
        brow: see `Eye`.
    """

    def __init__(self, image: np.ndarray, landmarks: np.ndarray, edges: tuple, brow: slice) -> None:
        self.image = image
        self.points = edges, brow
        self.rest = Eye(landmarks, *self.points)
        # Where something dark covers the eye, as sunglasses do, there is no lid to close.
        axes = self.rest.axes
        eye, cheek = (
            pixels_near(image, axes.pixels(np.array((0.5, y))), radius * axes.unit) @ LUMINANCE
            for y, radius in ((0.0, 0.35), (1.25, 0.15))
        )
        self.can_close = np.percentile(eye, 80) > _COVERED * np.percentile(cheek, 80)
        self.skin_at_top, self.skin_at_lashes = self._lid_skin()

    def _lid_skin(self) -> tuple[np.ndarray, np.ndarray]:
        """Colours (17, 3) of the closed lid along the eye, at its top and at its lashes."""
        rest = self.rest
        blurred = cv2.GaussianBlur(self.image, (0, 0), max(0.05 * rest.axes.unit, 0.6))
        rows = []
        for edge, below in ((rest.upper, -0.15), (rest.lower, 0.18), (rest.lower, 0.32)):
            places = np.stack([_POSITIONS, height(edge, _POSITIONS) + below], 1)
            places = rest.axes.pixels(places).astype(np.float32)[None]
            row = sample(blurred, places, cv2.INTER_LINEAR)
            rows.append(cv2.GaussianBlur(row[0].astype(np.float32), (1, 9), 3.0))
        above, below, bag = rows
        # The lower lashes' shadow lies on the skin below them, more than on a shut lid.
        below = np.maximum(below, 0.8 * bag)
        return 0.65 * above + 0.35 * below, 0.15 * above + 0.82 * below

    def move(self, view: np.ndarray, box: Box, source: np.ndarray, landmarks: np.ndarray) -> None:
        """Move the lids of a frame to its landmarks.

        Args:
            view: (H, W, 3) uint8, the frame's pixels in `box`, changed in place.
            source: (H, W, 2) float32 places in the portrait of these pixels, the eye at rest.
            landmarks: (68, 2) pixels of the frame.
        """
        rest, now = self.rest, Eye(landmarks, *self.points)
        change = max(
            np.abs(rest.upper[:, 1] - now.upper[:, 1]).max(),
            np.abs(rest.lower[:, 1] - now.lower[:, 1]).max(),
        )
        if not self.can_close or change < _LEAST_CHANGE:
            return
        eye_box = Box.around(now.axes.pixels(_REACH), 0, box)
        if min(eye_box.size) < 3:
            return
        place = eye_box.slices(box)
        local = now.axes.local(eye_box.pixels()).astype(np.float32)
        x, y = local[..., 0], local[..., 1]
        lid, lid_rest = height(now.upper, x), height(rest.upper, x)
        low_rest = height(rest.lower, x)
        low = np.maximum(height(now.lower, x), lid)
        closing = np.clip((lid - lid_rest) / _FULL_CLOSING, 0, 1)

        # Sources relative to y. The skin between brow and lashes is stretched, from a little above
        # the lid's edge, so that no pixels of the eye move with the lashes.
        top = lid_rest - np.maximum(0.62 * (lid_rest - height(now.brow, x) - 0.10), 0.12)
        along = np.clip((y - top) / np.maximum(lid - top, 1e-3), 0, 1)
        upper = (lid_rest - lid - 0.025 * closing) * along
        # Below the eye it is stretched down to the cheek.
        cheek = np.maximum(low, low_rest) + 0.45
        along = np.clip((cheek - y) / np.maximum(cheek - low, 1e-3), 0, 1)
        lower = (low_rest - low + 0.05 * closing) * along
        # The eyeball rests, unless the eye opens wider and stretches it.
        up = np.clip(lid_rest / np.minimum(lid, -1e-3), 0, 1)
        under = np.clip(low_rest / np.maximum(low, 1e-3), 0, 1)
        shifts = np.where(y < 0.5 * (lid + low), upper, lower), y * (np.where(y < 0, up, under) - 1)
        down = (rest.axes.down * rest.axes.unit).astype(np.float32)
        skin, ball = (
            sample(self.image, source[place] + shift[..., None] * down, cv2.INTER_CUBIC)
            for shift in shifts
        )
        # Smooth skin over the stretched, whose crease and shade are too wide: from one colour to
        # the other, so that the lid has no border at either side.
        at = np.clip(x, 0, 1)
        top_colour, lash_colour = (
            np.stack([np.interp(at, _POSITIONS, row[:, c]) for c in range(3)], -1)
            for row in (self.skin_at_top, self.skin_at_lashes)
        )
        from_top = y - lid_rest + 0.09
        along = smoothstep(from_top / np.maximum(lid - lid_rest + 0.09, 1e-3))
        smooth = top_colour + (lash_colour - top_colour) * along[..., None]
        weight = smoothstep(from_top / 0.09) * smoothstep((lid - 0.02 - y) / 0.06)
        weight *= 0.85 * closing * smoothstep(x / 0.12) * smoothstep((1 - x) / 0.12)
        frame = skin + (smooth - skin) * weight[..., None]
        # Signed distance into the opening, in pixels, for an antialiased edge.
        within = np.minimum(y - lid, low - y) * now.axes.unit
        opening = np.clip(within / 1.5, 0, 1) * ((x > 0) & (x < 1))
        frame += (ball - frame) * opening[..., None]
        ends = smoothstep(x / 0.1) * smoothstep((1 - x) / 0.1)
        lashes = np.exp(-(((y - lid - 0.004) / 0.026) ** 2)) * closing * ends
        frame *= 1.0 - 0.5 * lashes[..., None]
        view[place] = np.clip(frame + 0.5, 0, 255).astype(np.uint8)
