"""The lips of a portrait: where they part, how far they may move, and the fill between them."""

import cv2
import numpy as np

from src.face.geometry import central_lip_distance
from src.face.topology import (
    INNER_LIP_PAIRS,
    INNER_LIPS,
    JAW,
    LOWER_INNER_LIP,
    LOWER_OUTER_LIP,
    MOUTH_CORNERS,
    OUTER_LIPS,
    UPPER_INNER_LIP,
    UPPER_OUTER_LIP,
)
from src.render.warp.field import face_axes
from src.render.warp.mouth import MouthInside
from src.render.warp.plane import (
    LUMINANCE,
    Box,
    affine,
    curve,
    mouth_axes,
    pixels_near,
    polygon_mask,
    sample,
    smoothstep,
    translation,
)

_LEAST_OPENING = 0.25  # pixels between lips, below which they are shut
# Skin and red of the lips are compressed to no less than these fractions of their height at rest.
_LEAST_SKIN, _LEAST_LIP = 0.50, 0.45
# Two landmarks of each place where the skin's colour is taken, and the weight of the second.
_CHEEKS = ((2, 31, 0.5), (14, 35, 0.5), (3, 48, 0.6), (13, 54, 0.6), (30, 30, 0.0))


def inner_line(landmarks: np.ndarray) -> np.ndarray:
    """The line (5, 2) midway between the inner lips of landmarks (68, 2)."""
    return (landmarks[UPPER_INNER_LIP] + landmarks[LOWER_INNER_LIP[::-1]]) / 2


def lower_lip_weight(points: np.ndarray, landmarks: np.ndarray, softness: float) -> np.ndarray:
    """Weight 0-1 with which points (N, 2) belong to the lower lip, not to the upper one.

    Args:
        points: pixels.
        landmarks: (68, 2) pixels.
        softness: pixels from the line between the lips over which the weight changes.
    """
    axes = mouth_axes(landmarks)
    right, left = landmarks[list(MOUTH_CORNERS)]
    line = axes.local(np.array([right, *inner_line(landmarks), left]))
    line = line[np.argsort(line[:, 0], kind="stable")]
    x, y = axes.local(points).T
    below = y - np.interp(x, line[:, 0], line[:, 1])
    # Beyond the corners there are no two lips: one side blends into the other.
    beyond = np.maximum(np.abs(x - 0.5) - 0.47, 0)
    weight = smoothstep(0.5 + 0.5 * below / (softness / axes.unit + 0.8 * beyond))
    return weight.astype(np.float32)


class Lips:
    """The mouth of one portrait.

    `rest` are the portrait's landmarks with the inner lips moved to the edges in the image:
    detectors are a pixel or two off, and an opening mouth would tear a strip off one lip.

    Args:
        image: (H, W, 3) uint8 BGR.
        landmarks: (68, 2) pixels.
    """

    def __init__(self, image: np.ndarray, landmarks: np.ndarray) -> None:
        self.image = image
        self.axes = mouth_axes(landmarks)
        self.gap = float(central_lip_distance(landmarks))
        self.is_open = self.gap > 0.04 * self.axes.unit
        self.shows_teeth = False
        self.rest = landmarks.copy()
        skin, lip, highlight = self._colours()
        if self.is_open:
            self._find_teeth(skin, lip)
        else:
            self._find_parting()
        self.correction = self.rest - landmarks
        self.inside = MouthInside(self.axes.unit, skin, lip, highlight)
        # Maps from mouth units to the portrait: the upper teeth hang where closed lips would meet,
        # the lower ones on the lower lip.
        upper, lower = (
            self.rest[edge[1:-1]].mean(0) for edge in (UPPER_INNER_LIP, LOWER_INNER_LIP)
        )
        linear = self.axes.directions.T * self.axes.unit
        self.upper_units = affine(linear, upper + 0.35 * (lower - upper))
        self.lower_units = affine(linear, lower)

    def _colours(self) -> tuple[np.ndarray, np.ndarray, float]:
        """BGR colours (3,) of skin and lips, and the luminance of the face's highlights."""
        rest, image = self.rest, self.image
        radius = 0.03 * face_axes(rest).unit
        near = [pixels_near(image, (1 - w) * rest[a] + w * rest[b], radius) for a, b, w in _CHEEKS]
        size = Box.of(image).size
        lips = polygon_mask(rest[OUTER_LIPS], size)
        if self.is_open:
            lips -= polygon_mask(rest[INNER_LIPS], size)
        face = polygon_mask(np.concatenate([rest[JAW], rest[26:16:-1]]), size)
        lip = np.median(image[lips > 0.5], 0)
        highlight = np.percentile(image[face > 0.5] @ LUMINANCE, 97)
        return np.median(np.concatenate(near), 0), lip, float(highlight)

    def _profiles(self, channel: np.ndarray, places: np.ndarray, blur: float) -> np.ndarray:
        """Sample a channel (H, W), blurred by `blur` mouth widths, at places (N, M, 2)."""
        sigma = max(blur * self.axes.unit, 0.4)
        soft = cv2.GaussianBlur(channel.astype(np.float32), (0, 0), sigma)
        return sample(soft, places.astype(np.float32), cv2.INTER_LINEAR)

    def _find_parting(self) -> None:
        """Move the inner lips of a closed mouth to the dark line where they part."""
        middle, down = curve(inner_line(self.rest), 8), self.axes.down
        offsets = self.axes.unit * np.linspace(-0.055, 0.055, 23)
        places = middle[:, None] + offsets[:, None] * down
        profile = self._profiles(self.image @ LUMINANCE, places, 0.012)
        contrast = np.ptp(profile)
        if contrast < 4:
            return
        cost = (profile - profile.min(1, keepdims=True)) / contrast
        cost += 0.25 * (offsets / offsets[-1]) ** 2
        darkest = offsets[cv2.blur(cost, (1, 9)).argmin(1)]
        # A detector's lips are off as a whole; the line's own waves are the image's grain.
        along = np.linspace(-1, 1, len(darkest))
        shift = np.polyval(np.polyfit(along, darkest, 2), along)
        for number, pair in enumerate(INNER_LIP_PAIRS, 1):
            self.rest[list(pair)] = middle[8 * number] + shift[8 * number] * down

    def _find_teeth(self, skin: np.ndarray, lip: np.ndarray) -> None:
        """Find whether an open mouth shows teeth, and move the inner lips to their edge.

        Lips are red: unlike teeth, they have little blue and green.
        """
        self.own_inside = self._inside_mask()
        pale = self.image[..., :2].min(2)
        shown = pale[self.own_inside > 0.5]
        least = max(1.4 * float(lip[:2].min()), 0.75 * float(skin[:2].min()))
        self.shows_teeth = (
            self.gap > 0.11 * self.axes.unit
            and shown.size > 0
            and float(np.percentile(shown, 80)) > least
        )
        if not self.shows_teeth:
            return
        offsets = np.linspace(-0.03, 0.08, 34)
        for edge, sign in ((UPPER_INNER_LIP, -1), (LOWER_INNER_LIP, 1)):
            points = edge[1:-1]
            outwards = sign * self.axes.down * self.axes.unit
            places = self.rest[points][:, None] + offsets[:, None] * outwards
            fall = -np.gradient(self._profiles(pale, places, 0.010), axis=1)
            fall -= 0.3 * np.abs(offsets)
            found = np.where(fall.max(1) > 1.0, offsets[fall.argmax(1)], 0.0)
            # A little beyond it, so that no rim of the teeth moves with the lip.
            self.rest[points] += (np.median(found) + 0.012) * outwards
        self.own_inside = self._inside_mask()

    def _inside_mask(self) -> np.ndarray:
        """Soft mask (H, W) of the pixels well between the inner lips."""
        edges = [curve(self.rest[edge], 6) for edge in (UPPER_INNER_LIP, LOWER_INNER_LIP)]
        mask = polygon_mask(np.concatenate(edges), Box.of(self.image).size)
        soft = cv2.GaussianBlur(mask, (0, 0), max(0.015 * self.axes.unit, 0.6))
        return np.clip(2.0 * soft - 1.0, 0, 1)

    def adapt(self, landmarks: np.ndarray) -> np.ndarray:
        """Landmarks (68, 2) of a frame, with inner lips on the portrait's edges and room for skin.

        Skin between nose, lips and chin would fold if they met. The inner lips keep their gap:
        where the upper one may not rise, the lower one falls.
        """
        # The correction of an open mouth shrinks as it shuts, so that it can shut completely.
        gap = central_lip_distance(landmarks)
        landmarks = landmarks + self.correction * min(gap / self.gap if self.is_open else 1.0, 1.0)
        down = mouth_axes(landmarks).down

        def lack(least: float, *pairs: tuple[int, int]) -> float:
            """Pixels that the pair that is closest to touching lacks."""
            lacking = [
                least * abs((self.rest[below] - self.rest[above]) @ self.axes.down)
                - (landmarks[below] - landmarks[above]) @ down
                for above, below in pairs
            ]
            return max(*lacking, 0.0)

        landmarks[UPPER_OUTER_LIP[1:-1]] += lack(_LEAST_SKIN, (32, 50), (33, 51), (34, 52)) * down
        landmarks[INNER_LIPS] += lack(_LEAST_LIP, (50, 61), (51, 62), (52, 63)) * down
        landmarks[LOWER_OUTER_LIP[1:-1]] += lack(_LEAST_LIP, (67, 58), (66, 57), (65, 56)) * down
        landmarks[6:11] += lack(_LEAST_SKIN, (57, 8)) * down
        return landmarks

    def fill(
        self,
        view: np.ndarray,
        box: Box,
        landmarks: np.ndarray,
        pose_free: np.ndarray,
        head: np.ndarray,
    ) -> None:
        """Fill the gap between the inner lips of a frame with the mouth's inside.

        Args:
            view: (H, W, 3) uint8, the frame's pixels in `box`, changed in place.
            landmarks: (68, 2) pixels of the frame.
            pose_free: the same without the head's motion.
            head: affine map of that motion.
        """
        width, down = self.axes.unit, mouth_axes(landmarks).down
        upper = curve(landmarks[UPPER_INNER_LIP], 6)
        lower = curve(landmarks[LOWER_INNER_LIP], 6)[::-1]
        gap = (lower - upper) @ down
        if gap.max() < _LEAST_OPENING:
            return
        lower = lower + np.maximum(-gap, 0)[:, None] * down
        outline = np.concatenate([upper, lower[::-1]])
        mouth_box = Box.around(outline, 0.15 * width + 3, box)
        if min(mouth_box.size) < 3:
            return
        mask = polygon_mask(outline - mouth_box[:2], mouth_box.size)
        # A polygon thinner than a pixel is drawn as a line all the same: weaken it.
        mask *= min((gap.max() - _LEAST_OPENING) / 1.25, 1.0)
        depth = cv2.GaussianBlur(mask, (0, 0), 0.045 * width)
        light = np.clip((depth - 0.25) / 0.50, 0, 1)
        mask = cv2.GaussianBlur(mask, (0, 0), max(0.007 * width, 0.4))

        change = pose_free - self.rest
        to_box = translation(-np.array(mouth_box[:2])) @ head
        # The upper teeth move with the skull, the lower ones with the lower lip.
        skull = to_box @ translation(change[[33, 48, 54]].mean(0))
        jaw = to_box @ translation(change[[56, 57, 58, 66]].mean(0))
        inside = self.inside.render(
            mouth_box.size,
            skull @ self.upper_units,
            jaw @ self.lower_units,
            light,
            upper_teeth=not self.shows_teeth,
        )
        if self.is_open:
            inside = self._blend_own_inside(inside, skull, change[INNER_LIPS])
        place = mouth_box.slices(box)
        mixed = view[place] + (inside - view[place]) * mask[..., None]
        view[place] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)

    def _blend_own_inside(
        self, synthetic: np.ndarray, skull: np.ndarray, change: np.ndarray
    ) -> np.ndarray:
        """Blend the portrait's own teeth over the synthetic inside (H, W, 3).

        Args:
            skull: affine map from the portrait to the synthetic inside.
            change: (8, 2) of the inner lips.
        """
        width, down = self.axes.unit, self.axes.down
        parted = np.linalg.norm(change - change.mean(0), axis=1).max() / width
        # At rest all pixels are the portrait's; once the lips part, their rim must not stay behind.
        mix = float(smoothstep(parted / 0.04))
        # Where the upper lip rises, more of the teeth is visible, not their end.
        rise = min(float((change[1:4].mean(0) - change[[0, 4]].mean(0)) @ down), 0.0)
        rise -= 0.022 * width * mix
        from_portrait = (skull @ translation(rise * down))[:2]
        size = synthetic.shape[1::-1]
        own = cv2.warpAffine(
            self.image,
            from_portrait,
            size,
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        kept = cv2.warpAffine(self.own_inside, from_portrait, size) if self.shows_teeth else 0.0
        alpha = (1 - mix) + mix * np.broadcast_to(np.float32(kept), size[::-1])
        return synthetic + (own - synthetic) * alpha[..., None]
