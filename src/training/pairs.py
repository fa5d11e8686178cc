"""Pairs to train image translation on, made from packed pictures as they are needed.

Portrait and target are two frames of a clip. Stills are paired with themselves: the portrait is
the still with another expression, taken from a clip and warped on to it, the target the still as
it is. So a target is always a true picture, and the network meets many more faces than talk.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from src.data.image_shards import PACKED_SIZE, STILLS, PackedFaces
from src.errors import InputError
from src.face.crop import CROP_SIZE
from src.face.registration import similarity, similarity_matrix
from src.face.topology import JAW_ENDS, LIPS, RIGID_POINTS, mirror_order
from src.render.landmark_image import landmark_image
from src.render.warp.plane import LUMINANCE, apply
from src.render.warp.portrait import WarpRenderer

STILL_SHARE = 0.3  # of all portraits
# Heads turned apart by so much (deviation of the rigid points, in widths of the jaw) make a pair
# 60 % as likely: what a warp cannot turn, a network could only blur.
POSE_SOFTNESS = 0.03
# A still's own small motion of the head, besides the expression.
STILL_TURN, STILL_SHIFT, STILL_SCALE = 3.0, 0.025, 0.02  # degrees, widths of the jaw, share
LANDMARK_NOISE = 0.25  # pixels

# A window smaller than the square lies about the mouth, now and then anywhere.
WINDOW_SHIFT = 0.05  # of the square's side, deviation
WINDOW_ANYWHERE = 0.15  # chance
TURN, SHIFT, SCALE = 6.0, 10.0, 0.08  # degrees, pixels, share: how the square is laid at random
GRAY, BLURRED, COARSE, NEGATIVE_TONES = 0.06, 0.15, 0.06, 0.03  # chances of looks
TONE = 0.15  # deviation of contrast, brightness and each colour


@dataclass(frozen=True)
class Pairs:
    """One portrait n times, with n targets: uint8 BGR (n, window, window, 3) each."""

    lines: np.ndarray  # the target's landmarks, drawn
    portrait: np.ndarray
    warped: np.ndarray  # the portrait warped to the target's landmarks
    target: np.ndarray
    landmarks: np.ndarray  # (n, 68, 2) float32 of the target, in pixels
    name: str  # of the clip or still


class PairMaker:
    """Draws pairs by number: the same number gives the same pairs, in any process.

    Args:
        pictures: of one split.
        targets: pairs with each portrait.
        mends: landmarks are drawn for a mending network (else as the published release does).
        plain: no random looks and laying, for judging.
        window: side in pixels of the part of the square that is cut out of each pair; less than
            `CROP_SIZE` makes training quicker, as little needs mending but the mouth.
        seed: of all draws.

    Raises:
        InputError: the pictures make no pair.
    """

    def __init__(
        self,
        pictures: PackedFaces,
        targets: int,
        mends: bool = True,
        plain: bool = False,
        window: int = CROP_SIZE,
        seed: int = 0,
    ) -> None:
        self.window = window
        self.pictures = pictures
        self.targets = targets
        self.mends = mends
        self.plain = plain
        self.seed = seed
        counts = np.diff(pictures.starts)
        still = np.array([speaker == STILLS for speaker in pictures.speakers])
        self.stills = np.flatnonzero(still)
        self.clips = np.flatnonzero(~still & (counts > 1))
        if not len(self.stills) + len(self.clips):
            raise InputError("no pairs to be made: neither a still nor a clip of two pictures")
        # Who is seen for longer shows more, but not in proportion.
        names, speaker = np.unique(np.array(pictures.speakers)[self.clips], return_inverse=True)
        seen = np.bincount(speaker, counts[self.clips], len(names))
        chances = counts[self.clips] / np.sqrt(seen[speaker])
        self.chances = chances / max(chances.sum(), 1e-9)

    def __call__(self, number: int) -> Pairs:
        """The pairs of a number from 0."""
        rng = np.random.default_rng([self.seed, number])
        if len(self.stills) and (not len(self.clips) or rng.random() < STILL_SHARE):
            portraits, rests, targets, moved, clip = self._of_still(rng)
        else:
            portraits, rests, targets, moved, clip = self._of_clip(rng)
        warped, renderer = [], None
        for portrait, rest, landmarks in zip(portraits, rests, moved, strict=True):
            if renderer is None or portrait is not renderer.image:
                renderer = WarpRenderer(portrait, rest)
            warped.append(renderer.render(landmarks))
        name = self.pictures.names[clip]
        return self._laid(rng, name, portraits, warped, targets, moved)

    def _of_clip(self, rng: np.random.Generator) -> tuple:
        clip = rng.choice(self.clips, p=self.chances)
        inside = np.arange(self.pictures.starts[clip], self.pictures.starts[clip + 1])
        source = int(rng.choice(inside))
        landmarks = self.pictures.landmarks[inside, :, :2].astype(np.float64)
        rest = self.pictures.landmarks[source, :, :2].astype(np.float64)
        likely = np.exp(-0.5 * (turned_apart(landmarks, rest) / POSE_SOFTNESS) ** 2) + 1e-3
        likely[source - inside[0]] = 1e-6
        count = self.targets
        chosen = rng.choice(len(inside), count, p=likely / likely.sum())
        portrait = self.pictures.decode(source)
        targets = [self.pictures.decode(int(inside[place])) for place in chosen]
        return [portrait] * count, [rest] * count, targets, landmarks[chosen], clip

    def _of_still(self, rng: np.random.Generator) -> tuple:
        clip = rng.choice(self.stills)
        still = int(self.pictures.starts[clip])
        target = self.pictures.decode(still)
        landmarks = self.pictures.landmarks[still, :, :2].astype(np.float64)
        renderer = WarpRenderer(target, landmarks)
        count = self.targets
        rests = [self._with_expression(landmarks, rng) for _ in range(count)]
        portraits = [renderer.render(rest) for rest in rests]
        rests = [rest + LANDMARK_NOISE * rng.standard_normal(rest.shape) for rest in rests]
        return portraits, rests, [target] * count, np.repeat(landmarks[None], count, 0), clip

    def _with_expression(self, landmarks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Landmarks (68, 2) with the change between two frames of a clip put on them."""
        width = jaw_width(landmarks)
        moved = landmarks
        if len(self.clips):
            clip = rng.choice(self.clips, p=self.chances)
            inside = np.arange(self.pictures.starts[clip], self.pictures.starts[clip + 1])
            pair = self.pictures.landmarks[rng.choice(inside, 2), :, :2].astype(np.float64)
            first, second = (
                apply(similarity_matrix(face[RIGID_POINTS], landmarks[RIGID_POINTS]), face)
                for face in pair
            )
            moved = landmarks + second - first
        turn, scale = np.deg2rad(rng.normal(0, STILL_TURN)), 1 + rng.normal(0, STILL_SCALE)
        centre = landmarks.mean(0)
        rotation = scale * np.array([(np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))])
        return (moved - centre) @ rotation.T + centre + rng.normal(0, STILL_SHIFT * width, 2)

    def _laid(
        self,
        rng: np.random.Generator,
        name: str,
        portraits: list[np.ndarray],
        warped: list[np.ndarray],
        targets: list[np.ndarray],
        landmarks: np.ndarray,
    ) -> Pairs:
        """The square cut out of the packed pictures, all with one laying and one look."""
        flip = not self.plain and rng.random() < 0.5
        matrix = np.eye(2, 3) if self.plain else random_laying(rng)
        matrix[:, 2] -= (PACKED_SIZE - CROP_SIZE) / 2
        look = _unchanged if self.plain else random_look(rng)

        def lay(picture: np.ndarray) -> np.ndarray:
            square = cv2.warpAffine(
                picture,
                matrix,
                (CROP_SIZE, CROP_SIZE),
                flags=cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_REPLICATE,
            )
            return look(square[:, ::-1] if flip else square)

        moved = apply(matrix, landmarks.reshape(-1, 2)).reshape(landmarks.shape)
        if flip:
            moved = moved[:, mirror_order()]
            moved[..., 0] = CROP_SIZE - 1 - moved[..., 0]
        left, top = self._corner(moved[0], rng)
        part = np.s_[:, top : top + self.window, left : left + self.window]
        return Pairs(
            np.stack([landmark_image(face, antialiased=self.mends) for face in moved])[part],
            np.stack([lay(picture) for picture in portraits])[part],
            np.stack([lay(picture) for picture in warped])[part],
            np.stack([lay(picture) for picture in targets])[part],
            (moved - (left, top)).astype(np.float32),
            name,
        )

    def _corner(self, landmarks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Where the window's left upper corner (2,) lies in the square."""
        room = CROP_SIZE - self.window
        if rng.random() < WINDOW_ANYWHERE:
            return rng.integers(0, room + 1, 2)
        corner = (
            landmarks[LIPS].mean(0) - self.window / 2 + rng.normal(0, WINDOW_SHIFT * CROP_SIZE, 2)
        )
        return np.clip(corner.round(), 0, room).astype(int)


def jaw_width(landmarks: np.ndarray) -> float:
    """Distance between the ends of the jaw of landmarks (68, 2), at least a pixel."""
    ends = landmarks[list(JAW_ENDS)]
    return max(float(np.linalg.norm(ends[1] - ends[0])), 1.0)


def turned_apart(faces: np.ndarray, face: np.ndarray) -> np.ndarray:
    """How differently heads are turned, apart from shift, size and roll.

    Args:
        faces: (N, 68, 2).
        face: (68, 2).

    Returns:
        (N,) deviation of the rigid points in widths of the jaw.
    """
    source, target = faces[:, RIGID_POINTS], face[RIGID_POINTS]
    scale, rotation, translation = similarity(source, target)
    apart = scale[:, None, None] * (source @ rotation) + translation[:, None] - target
    return np.sqrt(np.square(apart).sum(-1).mean(-1)) / jaw_width(face)


def random_laying(rng: np.random.Generator) -> np.ndarray:
    """An affine map (2, 3) of the packed picture about its centre: turn, size and shift."""
    angle, scale = rng.normal(0, TURN / 2), np.exp(rng.normal(0, SCALE / 2))
    centre = (PACKED_SIZE - 1) / 2
    matrix = cv2.getRotationMatrix2D((centre, centre), angle, scale)
    matrix[:, 2] += rng.normal(0, SHIFT / 2, 2)
    return matrix


def random_look(rng: np.random.Generator):
    """A function that changes the colours and sharpness of pictures uint8 (H, W, 3), all alike."""
    contrast, gamma = np.exp(rng.normal(0, TONE, 2))
    gains = np.exp(rng.normal(0, TONE / 2, 3)) * np.exp(rng.normal(0, TONE))
    tones = np.linspace(0, 1, 256)[:, None] ** gamma
    tones = (tones - 0.5) * contrast + 0.5
    tones = tones * gains
    if rng.random() < COARSE:
        levels = rng.integers(5, 12)
        tones = np.round(tones * levels) / levels
    if rng.random() < NEGATIVE_TONES:
        tones = 1 - tones
    table = (255 * np.clip(tones, 0, 1)).astype(np.uint8)[:, None, :]
    saturation = 0.0 if rng.random() < GRAY else float(np.exp(rng.normal(0, 2 * TONE)))
    mix = saturation * np.eye(3) + (1 - saturation) * np.tile(LUMINANCE, (3, 1))
    mix = mix[:, rng.permutation(3)] if rng.random() < GRAY else mix
    sigma = rng.uniform(0.4, 1.2) if rng.random() < BLURRED else 0.0

    def look(picture: np.ndarray) -> np.ndarray:
        picture = cv2.LUT(cv2.transform(np.ascontiguousarray(picture), mix), table)
        return cv2.GaussianBlur(picture, (0, 0), sigma) if sigma else picture

    return look


def _unchanged(picture: np.ndarray) -> np.ndarray:
    return picture
