"""Lids that close over the eyes of a portrait: its own skin, drawn down over the eyeball."""

import cv2
import numpy as np

from src.render.warp.plane import (
    LUMINANCE,
    Box,
    axes_along,
    clipped_box,
    curve,
    part,
    pixel_grid,
    pixels_near,
    sample,
    smoothstep,
)

# Upper lid, lower lid, brow: landmarks in order of growing x.
EYES = (
    ((36, 37, 38, 39), (36, 41, 40, 39), (17, 18, 19, 20, 21)),
    ((42, 43, 44, 45), (42, 47, 46, 45), (22, 23, 24, 25, 26)),
)
# Heights and widths below are in eye units: the distance between an eye's corners.

# Places along an eye, 0 and 1 its corners, where the colour of its closed lid is known.
_POSITIONS = np.linspace(0, 1, 17, dtype=np.float32)
# Part of a frame that lids can change: x from, to, y from, to.
_REACH = (-0.15, 1.15, -0.9, 0.8)
# Less motion than this is none.
_LEAST_CHANGE = 0.004
# A lid that came down so far is fully painted.
_FULL_CLOSING = 0.20
# An eye darker than this share of the cheek is covered by dark glasses.
_COVERED = 0.33


class EyeFrame:
    """One eye's axes: origin in the corner of smaller x, unit from corner to corner, y down.

    landmarks: (68, 2) pixels; eye: one of `EYES`.
    """

    def __init__(self, landmarks: np.ndarray, eye: tuple) -> None:
        upper, lower, brow = eye
        self.origin = landmarks[upper[0]]
        self.axes, self.width = axes_along(self.origin, landmarks[upper[3]])
        self.upper = curve(self.local(landmarks[list(upper)]), 6)
        self.lower = curve(self.local(landmarks[list(lower)]), 6)
        self.brow = self.local(landmarks[list(brow)])

    def local(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) to eye units."""
        return (points - self.origin) @ self.axes.T / self.width

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Eye units (..., 2) to pixels."""
        return points @ self.axes * self.width + self.origin

    @staticmethod
    def height(edge: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Height of an edge (upper, lower or brow) at positions x along the eye."""
        return np.interp(x, edge[:, 0], edge[:, 1]).astype(np.float32)


class Eyelids:
    """The lids of one eye of a portrait.

    picture: (H, W, 3) uint8 BGR. landmarks: (68, 2) pixels at rest. eye: one of `EYES`.
    """

    def __init__(self, picture: np.ndarray, landmarks: np.ndarray, eye: tuple) -> None:
        self.picture = picture
        self.eye = eye
        self.rest = EyeFrame(landmarks, eye)
        self.can_close = self._is_bare()
        self.skin_at_top, self.skin_at_lashes = self._lid_skin()

    def _is_bare(self) -> bool:
        """False where something dark covers the eye, as sunglasses do: there is no lid to close."""
        middle = self.rest.pixels(np.array((0.5, 0.0)))
        cheek = self.rest.pixels(np.array((0.5, 1.25)))
        light = []
        for place, radius in ((middle, 0.35), (cheek, 0.15)):
            near = pixels_near(self.picture, place, radius * self.rest.width) @ LUMINANCE
            light.append(float(np.percentile(near, 80)) if near.size else 0.0)
        return light[0] > _COVERED * light[1]

    def _lid_skin(self) -> tuple[np.ndarray, np.ndarray]:
        """Colours (17, 3) of the closed lid along the eye, at its top and at its lashes."""
        rest = self.rest
        blurred = cv2.GaussianBlur(self.picture, (0, 0), max(0.05 * rest.width, 0.6))
        rows = []
        for edge, below in ((rest.upper, -0.15), (rest.lower, 0.18), (rest.lower, 0.32)):
            places = np.stack([_POSITIONS, rest.height(edge, _POSITIONS) + below], 1)
            row = sample(blurred, rest.pixels(places).astype(np.float32)[None], cv2.INTER_LINEAR)
            rows.append(cv2.GaussianBlur(row[0].astype(np.float32), (1, 9), 3.0))
        above, below, bag = rows
        # The lower lashes' shadow lies on the skin below them, more than on a shut lid.
        below = np.maximum(below, 0.8 * bag)
        return 0.65 * above + 0.35 * below, 0.15 * above + 0.82 * below

    def move(self, view: np.ndarray, box: Box, source: np.ndarray, moved: np.ndarray) -> None:
        """Brings the lids of a frame to where its landmarks have them.

        view: (H, W, 3) uint8, the frame's pixels in `box`, changed in place. source: (H, W, 2)
        float32, where in the portrait they came from with the eye at rest. moved: (68, 2), the
        frame's landmarks.
        """
        rest, now = self.rest, EyeFrame(moved, self.eye)
        change = max(
            np.abs(rest.upper[:, 1] - now.upper[:, 1]).max(),
            np.abs(rest.lower[:, 1] - now.lower[:, 1]).max(),
        )
        if not self.can_close or change < _LEAST_CHANGE:
            return
        low_x, high_x, low_y, high_y = _REACH
        corners = now.pixels(np.array([(x, y) for x in (low_x, high_x) for y in (low_y, high_y)]))
        eye_box = clipped_box(corners.min(0), corners.max(0), box)
        if eye_box[2] - eye_box[0] < 3 or eye_box[3] - eye_box[1] < 3:
            return
        place = part(eye_box, box)
        local = now.local(pixel_grid(eye_box)).astype(np.float32)
        x, y = local[..., 0], local[..., 1]
        lid, lid_rest = now.height(now.upper, x), rest.height(rest.upper, x)
        low_rest = rest.height(rest.lower, x)
        low = np.maximum(now.height(now.lower, x), lid)
        closing = np.clip((lid - lid_rest) / _FULL_CLOSING, 0, 1)
        brow = now.height(now.brow, x) + 0.10

        shifts = (
            np.where(
                y < 0.5 * (lid + low),
                _upper_shift(y, lid, lid_rest, brow, closing),
                _lower_shift(y, low, low_rest, closing),
            ),
            _ball_shift(y, lid, lid_rest, low, low_rest),
        )
        down = (rest.axes[1] * rest.width).astype(np.float32)
        skin, ball = (
            sample(self.picture, source[place] + shift[..., None] * down, cv2.INTER_CUBIC)
            for shift in shifts
        )
        frame = self._painted(skin.astype(np.float32), x, y, lid, lid_rest, closing)
        # Signed distance into the opening, in pixels, for an antialiased edge.
        within = np.minimum(y - lid, low - y) * now.width
        opening = np.clip(within / 1.5, 0, 1) * ((x > 0) & (x < 1))
        frame += (ball - frame) * opening[..., None]
        ends = smoothstep(x / 0.1) * smoothstep((1 - x) / 0.1)
        lashes = np.exp(-(((y - lid - 0.004) / 0.026) ** 2)) * closing * ends
        frame *= 1.0 - 0.5 * lashes[..., None]
        view[place] = np.clip(frame + 0.5, 0, 255).astype(np.uint8)

    def _painted(
        self,
        skin: np.ndarray,
        x: np.ndarray,
        y: np.ndarray,
        lid: np.ndarray,
        lid_rest: np.ndarray,
        closing: np.ndarray,
    ) -> np.ndarray:
        """Smooth skin (H, W, 3) over the stretched one, whose crease and shade are too wide."""
        at = np.clip(x, 0, 1)
        top, lashes = (
            np.stack([np.interp(at, _POSITIONS, row[:, c]) for c in range(3)], -1)
            for row in (self.skin_at_top, self.skin_at_lashes)
        )
        # From one colour to the other, so that the lid has no border at either side.
        height = (y - lid_rest + 0.09) / np.maximum(lid - lid_rest + 0.09, 1e-3)
        painted = top + (lashes - top) * smoothstep(height)[..., None]
        weight = smoothstep((y - lid_rest + 0.09) / 0.09) * smoothstep((lid - 0.02 - y) / 0.06)
        weight *= 0.85 * closing * smoothstep(x / 0.12) * smoothstep((1 - x) / 0.12)
        return (skin + (painted - skin) * weight[..., None]).astype(np.float32)


def _upper_shift(
    y: np.ndarray, lid: np.ndarray, lid_rest: np.ndarray, brow: np.ndarray, closing: np.ndarray
) -> np.ndarray:
    """Where the skin between brow and lashes comes from, relative to y.

    It is stretched most of all in its middle, so that lashes and brow keep their width.
    """
    top = lid_rest - np.maximum(0.62 * (lid_rest - brow), 0.12)
    length, length_rest = np.maximum(lid - top, 1e-3), lid_rest - top
    along = np.clip((y - top) / length, 0, 1)
    slope = np.minimum(length / length_rest, 2.6)
    along = along + (slope - 1) * along * (1 - along) * (1 - 2 * along)
    shift = top + length_rest * along - np.clip(y, top, np.maximum(lid, top))
    # A little higher than the edge found, lest the eye's own pixels hang on the lashes.
    return shift - 0.025 * closing * along


def _lower_shift(
    y: np.ndarray, low: np.ndarray, low_rest: np.ndarray, closing: np.ndarray
) -> np.ndarray:
    """Where the skin below the eye comes from, relative to y."""
    cheek = np.maximum(low, low_rest) + 0.45
    along = np.clip((cheek - y) / np.maximum(cheek - low, 1e-3), 0, 1)
    return (low_rest - low + 0.05 * closing) * along


def _ball_shift(
    y: np.ndarray, lid: np.ndarray, lid_rest: np.ndarray, low: np.ndarray, low_rest: np.ndarray
) -> np.ndarray:
    """Where the eyeball comes from: it rests, unless the eye opens wider and stretches it."""
    up = np.clip(lid_rest / np.minimum(lid, -1e-3), 0, 1)
    down = np.clip(low_rest / np.maximum(low, 1e-3), 0, 1)
    return y * (np.where(y < 0, up, down) - 1.0)
