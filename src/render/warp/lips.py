"""The lips of a portrait: where they truly part, how far they may go, what shows between them."""

import cv2
import numpy as np

from src.face.topology import INNER_LIP_PAIRS, INNER_LIPS, JAW, OUTER_LIPS
from src.render.warp.field import FaceFrame
from src.render.warp.mouth import MouthInside
from src.render.warp.plane import (
    LUMINANCE,
    Box,
    axes_along,
    chain,
    clipped_box,
    curve,
    filled,
    part,
    pixels_near,
    shifted,
    smoothstep,
    whole,
)

# Edges from corner to corner.
UPPER_OUTER, LOWER_OUTER = (48, 49, 50, 51, 52, 53, 54), (54, 55, 56, 57, 58, 59, 48)
UPPER_INNER, LOWER_INNER = (60, 61, 62, 63, 64), (64, 65, 66, 67, 60)

# Gaps between the inner lips, in mouth widths: above the first the portrait shows the inside of its
# mouth, above the second its teeth, if it has any, are seen enough to be kept.
_OPEN_GAP = 0.04
_TEETH_GAP = 0.11
# Lips less than this many pixels apart are shut.
_LEAST_OPENING = 0.25
# Skin and red of the lips are pressed together to no less than these shares of what they were.
_LEAST_SKIN, _LEAST_LIP = 0.50, 0.45


class MouthLine:
    """The line between the lips of one frame, prolonged beyond their corners.

    moved: (68, 2) landmarks of the frame.
    """

    def __init__(self, moved: np.ndarray) -> None:
        self.axes, self.width = axes_along(moved[48], moved[54])
        self.origin = (moved[48] + moved[54]) / 2
        between = [(moved[a] + moved[b]) / 2 for a, b in INNER_LIP_PAIRS]
        line = np.array([moved[48], moved[60], *between, moved[64], moved[54]])
        line = (line - self.origin) @ self.axes.T
        self.line = line[np.argsort(line[:, 0], kind="stable")]

    def lower_share(self, points: np.ndarray, softness: float) -> np.ndarray:
        """How much pixels (..., 2) belong to the lower lip, 0-1; softness in pixels."""
        local = (points - self.origin) @ self.axes.T
        x, y = local[..., 0], local[..., 1]
        line = np.interp(x, self.line[:, 0], self.line[:, 1])
        # Beyond the corners there are no two lips: one side goes over into the other.
        beyond = np.maximum(np.abs(x) - 0.47 * self.width, 0)
        return smoothstep(0.5 + 0.5 * (y - line) / (softness + 0.8 * beyond)).astype(np.float32)


class Lips:
    """The mouth of one portrait.

    picture: (H, W, 3) uint8 BGR. landmarks: (68, 2) pixels. `rest` are these landmarks with the
    inner lips moved on to the edges that the picture shows: detectors are a pixel or two off, and
    an opening mouth would tear a strip off one lip.
    """

    def __init__(self, picture: np.ndarray, landmarks: np.ndarray) -> None:
        self.picture = picture
        self.axes, self.width = axes_along(landmarks[48], landmarks[54])
        self.width = max(self.width, 4.0)
        self.down = self.axes[1]
        self.gap = float(np.linalg.norm(landmarks[62] - landmarks[66]))
        self.shows_inside = self.gap > _OPEN_GAP * self.width
        self.shows_teeth = False
        self.rest = landmarks.copy()
        skin, lip, highlight = self._colours()
        if self.shows_inside:
            self._find_teeth(skin, lip)
        else:
            self._find_parting()
        self.correction = self.rest - landmarks
        blur = max(0.010 * self.width, 0.6)
        self.inside = MouthInside(self.width, skin, lip, highlight, blur)
        # From mouth units to the portrait: the upper teeth hang where closed lips would meet, the
        # lower ones on the lower lip.
        upper, lower = (self.rest[list(edge[1:-1])].mean(0) for edge in (UPPER_INNER, LOWER_INNER))
        axes = self.axes.T * self.width
        self.upper_units = np.column_stack([axes, upper + 0.35 * (lower - upper)])
        self.lower_units = np.column_stack([axes, lower])

    # ---- what the picture shows ------------------------------------------------------------------

    def _colours(self) -> tuple[np.ndarray, np.ndarray, float]:
        """BGR colours (3,) of skin and lips, and the luminance of the face's lightest parts."""
        rest, picture = self.rest, self.picture
        cheeks = [(2, 31, 0.5), (14, 35, 0.5), (3, 48, 0.6), (13, 54, 0.6), (30, 30, 0.0)]
        radius = 0.03 * FaceFrame(rest).unit
        near = [
            pixels_near(picture, (1 - share) * rest[a] + share * rest[b], radius)
            for a, b, share in cheeks
        ]
        near = np.concatenate(near)
        skin = np.median(near, 0) if len(near) else np.full(3, 128.0)
        lips, face = (np.zeros(picture.shape[:2], np.uint8) for _ in range(2))
        cv2.fillPoly(lips, [np.round(rest[OUTER_LIPS]).astype(np.int32)], 1)
        if self.shows_inside:
            cv2.fillPoly(lips, [np.round(rest[INNER_LIPS]).astype(np.int32)], 0)
        outline = np.concatenate([rest[JAW], rest[26:16:-1]])
        cv2.fillPoly(face, [np.round(outline).astype(np.int32)], 1)
        red, light = picture[lips > 0], picture[face > 0] @ LUMINANCE
        lip = np.median(red, 0) if len(red) else 0.8 * skin
        return skin, lip, float(np.percentile(light, 97)) if len(light) else 200.0

    def _profiles(self, channel: np.ndarray, places: np.ndarray, blur: float) -> np.ndarray:
        """A channel (H, W), blurred by a share of the mouth's width, at places (N, M, 2)."""
        soft = cv2.GaussianBlur(channel.astype(np.float32), (0, 0), max(blur * self.width, 0.4))
        x, y = np.moveaxis(places.astype(np.float32), -1, 0)
        return cv2.remap(soft, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def _find_parting(self) -> None:
        """Puts the inner lips of a closed mouth on the dark line where they part."""
        rest = self.rest
        between = [(rest[a] + rest[b]) / 2 for a, b in INNER_LIP_PAIRS]
        middle = curve(np.array([rest[60], *between, rest[64]]), 8)
        reach = 0.055 * self.width
        offsets = np.linspace(-reach, reach, 23)
        places = middle[:, None] + offsets[:, None] * self.down
        profile = self._profiles(self.picture @ LUMINANCE, places, 0.012)
        contrast = profile.max() - profile.min()
        if contrast < 4:
            return
        cost = (profile - profile.min(1, keepdims=True)) / contrast + 0.25 * (offsets / reach) ** 2
        # The cheapest smooth path from corner to corner, column by column.
        step = 0.12 * np.subtract.outer(np.arange(23), np.arange(23)) ** 2
        total, best_before = cost[0], []
        for column in cost[1:]:
            arrive = total + step
            best_before.append(arrive.argmin(1))
            total = column + arrive.min(1)
        path = [int(total.argmin())]
        for best in reversed(best_before):
            path.append(int(best[path[-1]]))
        # A detector's lips are off as a whole; the path's own waves are the picture's grain.
        along = np.linspace(-1, 1, len(path))
        shift = np.polyval(np.polyfit(along, offsets[path[::-1]], 2), along)
        for number, pair in enumerate(INNER_LIP_PAIRS, 1):
            rest[list(pair)] = middle[8 * number] + shift[8 * number] * self.down

    def _find_teeth(self, skin: np.ndarray, lip: np.ndarray) -> None:
        """Finds whether an open mouth shows teeth, and puts the inner lips on their edge.

        Lips are red: what they lack against teeth is blue and green.
        """
        self.own_inside = self._core()
        pale = self.picture[..., :2].min(2)
        shown = pale[self.own_inside > 0.5]
        least = max(1.4 * float(lip[:2].min()), 0.75 * float(skin[:2].min()))
        self.shows_teeth = (
            self.gap > _TEETH_GAP * self.width
            and shown.size > 0
            and float(np.percentile(shown, 80)) > least
        )
        if not self.shows_teeth:
            return
        offsets = np.linspace(-0.03, 0.08, 34)
        for points, outwards in ((UPPER_INNER[1:-1], -self.down), (LOWER_INNER[1:-1], self.down)):
            outwards = outwards * self.width
            places = self.rest[list(points)][:, None] + offsets[:, None] * outwards
            fall = -np.gradient(self._profiles(pale, places, 0.010), axis=1)
            fall -= 0.3 * np.abs(offsets)
            found = np.where(fall.max(1) > 1.0, offsets[fall.argmax(1)], 0.0)
            # A little beyond it, lest a rim of teeth hang on the lip.
            self.rest[list(points)] += (np.median(found) + 0.012) * outwards
        self.own_inside = self._core()

    def _core(self) -> np.ndarray:
        """Soft mask (H, W) of what lies well between the inner lips."""
        edges = [curve(self.rest[list(edge)], 6) for edge in (UPPER_INNER, LOWER_INNER)]
        mask = filled(np.concatenate(edges), whole(self.picture)[2:])
        soft = cv2.GaussianBlur(mask, (0, 0), max(0.015 * self.width, 0.6))
        return np.clip(2.0 * soft - 1.0, 0, 1)

    # ---- where the lips of a frame are -----------------------------------------------------------

    def corrected(self, asked: np.ndarray) -> np.ndarray:
        """Landmarks asked for (68, 2) with the inner lips on the edges that the picture shows."""
        # Of an open mouth's correction there is less as it shuts, or it would not shut quite.
        share = np.linalg.norm(asked[66] - asked[62]) / self.gap if self.shows_inside else 1.0
        moved = asked + self.correction * min(share, 1.0)
        down = axes_along(moved[48], moved[54])[0][1]
        for upper, lower in INNER_LIP_PAIRS:
            # Lips that overlap meet in the middle instead.
            overlap = max((moved[upper] - moved[lower]) @ down, 0.0)
            moved[upper] -= 0.5 * overlap * down
            moved[lower] += 0.5 * overlap * down
        return moved

    def with_room(self, moved: np.ndarray) -> np.ndarray:
        """Keeps skin between nose, lips and chin: landmarks (68, 2) that met would fold it.

        The inner lips keep their gap: where the upper one may not rise, the lower one falls.
        """
        moved = moved.copy()
        down = axes_along(moved[48], moved[54])[0][1]

        def lack(least: float, *pairs: tuple[int, int]) -> float:
            """Pixels by which the pair that is closest to touching is too close."""
            lacking = [
                least * abs((self.rest[below] - self.rest[above]) @ self.down)
                - (moved[below] - moved[above]) @ down
                for above, below in pairs
            ]
            return max(*lacking, 0.0)

        moved[49:54] += lack(_LEAST_SKIN, (32, 50), (33, 51), (34, 52)) * down
        moved[60:68] += lack(_LEAST_LIP, (50, 61), (51, 62), (52, 63)) * down
        moved[55:60] += lack(_LEAST_LIP, (67, 58), (66, 57), (65, 56)) * down
        moved[6:11] += lack(_LEAST_SKIN, (57, 8)) * down
        return moved

    # ---- between the lips of a frame -------------------------------------------------------------

    def fill(
        self, view: np.ndarray, box: Box, moved: np.ndarray, stable: np.ndarray, head: np.ndarray
    ) -> None:
        """Puts the mouth's inside between the inner lips of a frame.

        view: (H, W, 3) uint8, the frame's pixels in `box`, changed in place. moved: (68, 2), the
        frame's landmarks; stable: the same without the head's motion; head: that motion (2, 3).
        """
        down = axes_along(moved[48], moved[54])[0][1]
        upper = curve(moved[list(UPPER_INNER)], 6)
        lower = curve(moved[list(LOWER_INNER)], 6)[::-1]
        gap = (lower - upper) @ down
        if gap.max() < _LEAST_OPENING:
            return
        lower = lower + np.maximum(-gap, 0)[:, None] * down
        outline = np.concatenate([upper, lower[::-1]])
        margin = 0.15 * self.width + 3
        mouth_box = clipped_box(outline.min(0) - margin, outline.max(0) + margin, box)
        size = (mouth_box[2] - mouth_box[0], mouth_box[3] - mouth_box[1])
        if min(size) < 3:
            return
        mask = filled(outline - mouth_box[:2], size)
        # A polygon thinner than a pixel is drawn as a line all the same: weaken it.
        mask *= min((gap.max() - _LEAST_OPENING) / 1.25, 1.0)
        depth = cv2.GaussianBlur(mask, (0, 0), 0.045 * self.width)
        light = np.clip((depth - 0.25) / 0.50, 0, 1)
        mask = cv2.GaussianBlur(mask, (0, 0), max(0.007 * self.width, 0.4))

        change = stable - self.rest
        to_box = chain(shifted(-np.array(mouth_box[:2])), head)
        # The upper teeth go with the skull, the lower ones with the lower lip.
        skull = chain(to_box, shifted(change[[33, 48, 54]].mean(0)))
        jaw = chain(to_box, shifted(change[[56, 57, 58, 66]].mean(0)))
        inside = self.inside.tile(
            size,
            chain(skull, self.upper_units),
            chain(jaw, self.lower_units),
            light,
            upper_teeth=not self.shows_teeth,
        )
        if self.shows_inside:
            inside = self._with_own(inside, skull, change[INNER_LIPS])
        place = part(mouth_box, box)
        mixed = view[place] + (inside - view[place]) * mask[..., None]
        view[place] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)

    def _with_own(self, painted: np.ndarray, skull: np.ndarray, change: np.ndarray) -> np.ndarray:
        """The portrait's own teeth over the painted inside (H, W, 3).

        skull: map from the portrait to the painting; change: (8, 2) of the inner lips.
        """
        parted = np.linalg.norm(change - change.mean(0), axis=1).max() / self.width
        # At rest all pixels are the portrait's; once the lips part, their rim must not stay behind.
        mix = float(smoothstep(parted / 0.04))
        # Where the upper lip rises, more of the teeth is seen, not their end.
        rise = min(float((change[1:4].mean(0) - change[[0, 4]].mean(0)) @ self.down), 0.0)
        rise -= 0.022 * self.width * mix
        skull = chain(skull, shifted(rise * self.down))
        size = painted.shape[1::-1]
        own = cv2.warpAffine(
            self.picture, skull, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        kept = cv2.warpAffine(self.own_inside, skull, size) if self.shows_teeth else 0.0
        alpha = (1 - mix) + mix * np.broadcast_to(np.float32(kept), size[::-1])
        return painted + (own - painted) * alpha[..., None]
