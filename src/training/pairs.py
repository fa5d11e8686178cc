"""Training pairs of image translation, made from packed images as they are needed.

Portrait and target are two frames of a clip. A still is paired with itself: its portrait is the
still warped to another expression, which comes from a clip, and its target the still as it is. So
targets are always real images, of many more faces than there are clips of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from src.data.packed_faces import PACKED_SIZE, STILLS, PackedFaces
from src.errors import InputError
from src.face.geometry import jaw_width
from src.face.registration import similarity, similarity_matrix
from src.face.topology import LIPS, MIRRORED, RIGID_POINTS
from src.models.dimensions import IMAGE_SIZE
from src.render.landmark_image import landmark_image
from src.render.warp.plane import LUMINANCE, apply
from src.render.warp.portrait import WarpRenderer

STILL_FRACTION = 0.3  # of all portraits
# Pairs whose head poses differ by this std of the rigid points, in widths of the jaw, are drawn at
# 60 % of the rate of others: where a warp cannot turn the head, a network could only blur it.
POSE_STD = 0.03
# Head motion of a still's portrait, besides the expression: degrees, jaw widths, fraction.
STILL_TURN, STILL_SHIFT, STILL_SCALE = 3.0, 0.025, 0.02
LANDMARK_NOISE = 0.25  # std in pixels

# A window smaller than the square is at the mouth, sometimes anywhere.
WINDOW_SHIFT = 0.05  # std, of the square's side
WINDOW_ANYWHERE = 0.15  # probability

# Augmentation: two std of turn, shift and scale in degrees, pixels and log scale; probabilities of
# looks; std of contrast, brightness and each colour.
TURN, SHIFT, SCALE = 6.0, 10.0, 0.08
GREY, BLURRED, POSTERISED, INVERTED = 0.06, 0.15, 0.06, 0.03
TONE = 0.15


class Pairs(NamedTuple):
    """One portrait n times, with n targets: uint8 BGR (n, window, window, 3) each."""

    landmark_images: np.ndarray  # of the targets
    portraits: np.ndarray
    warped: np.ndarray  # the portrait, warped to each target's landmarks
    targets: np.ndarray
    landmarks: np.ndarray  # (n, 68, 2) float32 of the targets, in pixels
    name: str  # of the clip or still


class PairMaker:
    """Dataset of pairs by number: the same number gives the same pairs, in any process.

    Args:
        images: of one split.
        targets: of each portrait.
        refine: pairs are for a refinement network, whose landmark images are antialiased.
        augment: change pose, colours and sharpness at random; off for validation.
        window: side, in pixels, of the part of the square that is used of each pair. Below
            `IMAGE_SIZE`, training is faster, and hardly anything but the mouth needs refinement.

    Raises:
        InputError: the images make no pair.
    """

    def __init__(
        self,
        images: PackedFaces,
        targets: int,
        refine: bool = True,
        augment: bool = True,
        window: int = IMAGE_SIZE,
    ) -> None:
        self.images = images
        self.targets = targets
        self.refine = refine
        self.augment = augment
        self.window = window
        counts = np.diff(images.starts)
        is_still = images.speakers == STILLS
        self.stills = np.flatnonzero(is_still)
        self.clips = np.flatnonzero(~is_still & (counts > 1))
        if not len(self.clips):
            raise InputError("no training pairs: no clip of two images")
        # A speaker is drawn in proportion to the root of the number of frames.
        _, speaker = np.unique(images.speakers[self.clips], return_inverse=True)
        weights = counts[self.clips] / np.sqrt(np.bincount(speaker, counts[self.clips])[speaker])
        self.probabilities = weights / weights.sum()

    def __getitem__(self, number: int) -> Pairs:
        """The pairs of a number from 0."""
        rng = np.random.default_rng([0, number])
        is_still = len(self.stills) and rng.random() < STILL_FRACTION
        draw = self._from_still if is_still else self._from_clip
        clip, portraits, warped, targets, landmarks = draw(rng)
        flip = self.augment and rng.random() < 0.5
        matrix = random_affine(rng) if self.augment else np.eye(2, 3)
        matrix[:, 2] -= (PACKED_SIZE - IMAGE_SIZE) / 2
        look = random_look(rng) if self.augment else lambda image: image
        landmarks = apply(matrix, landmarks)
        if flip:
            landmarks = landmarks[:, MIRRORED]
            landmarks[..., 0] = IMAGE_SIZE - 1 - landmarks[..., 0]
        drawn = [landmark_image(face, IMAGE_SIZE, antialiased=self.refine) for face in landmarks]
        left, top = corner = self._window_corner(landmarks[0], rng)

        def square(image: np.ndarray) -> np.ndarray:
            size, mode = (IMAGE_SIZE, IMAGE_SIZE), cv2.BORDER_REPLICATE
            crop = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_CUBIC, borderMode=mode)
            return look(crop[:, ::-1] if flip else crop)

        columns = [drawn, *(list(map(square, images)) for images in (portraits, warped, targets))]
        window = np.s_[:, top : top + self.window, left : left + self.window]
        windows = [np.stack(column)[window] for column in columns]
        landmarks = (landmarks - corner).astype(np.float32)
        return Pairs(*windows, landmarks, self.images.names[clip])

    def _clip(self, rng: np.random.Generator) -> tuple[int, np.ndarray]:
        """A random clip and its landmarks (n, 68, 2)."""
        clip = rng.choice(self.clips, p=self.probabilities)
        start, end = self.images.starts[clip : clip + 2]
        return clip, self.images.landmarks[start:end, :, :2].astype(np.float64)

    def _from_clip(self, rng: np.random.Generator) -> tuple:
        """Clip, portraits, the same warped, targets and their landmarks: frames of a clip."""
        clip, landmarks = self._clip(rng)
        source = rng.choice(len(landmarks))
        own = landmarks[source]
        weights = np.exp(-0.5 * (pose_distance(landmarks, own) / POSE_STD) ** 2) + 1e-3
        weights[source] = 1e-6
        chosen = rng.choice(len(landmarks), self.targets, p=weights / weights.sum())
        start = self.images.starts[clip]
        portrait = self.images.decode(start + source)
        targets = [self.images.decode(start + index) for index in chosen]
        renderer = WarpRenderer(portrait, own)
        warped = [renderer.render(target) for target in landmarks[chosen]]
        return clip, [portrait] * self.targets, warped, targets, landmarks[chosen]

    def _from_still(self, rng: np.random.Generator) -> tuple:
        """The same of a still: it with other expressions, and it as it is."""
        clip = rng.choice(self.stills)
        still = self.images.starts[clip]
        target = self.images.decode(still)
        landmarks = self.images.landmarks[still, :, :2].astype(np.float64)
        renderer = WarpRenderer(target, landmarks)
        sources = [self._with_expression(landmarks, rng) for _ in range(self.targets)]
        portraits = [renderer.render(source) for source in sources]
        warped = []
        for portrait, source in zip(portraits, sources, strict=True):
            source = source + LANDMARK_NOISE * rng.standard_normal(source.shape)
            warped.append(WarpRenderer(portrait, source).render(landmarks))
        targets = [target] * self.targets
        return clip, portraits, warped, targets, np.stack([landmarks] * self.targets)

    def _with_expression(self, landmarks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Landmarks (68, 2), changed as those of a clip change between two of its frames."""
        _, track = self._clip(rng)
        faces = track[rng.choice(len(track), 2)]
        matrices = similarity_matrix(faces[:, RIGID_POINTS], landmarks[RIGID_POINTS])
        first, second = map(apply, matrices, faces)
        changed = landmarks + second - first
        turn, scale = np.deg2rad(rng.normal(0, STILL_TURN)), 1 + rng.normal(0, STILL_SCALE)
        centre = landmarks.mean(0)
        rotation = scale * np.array([(np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))])
        shift = rng.normal(0, STILL_SHIFT * max(jaw_width(landmarks), 1.0), 2)
        return (changed - centre) @ rotation.T + centre + shift

    def _window_corner(self, landmarks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw the window's upper left corner (2,) in the square."""
        room = IMAGE_SIZE - self.window
        if rng.random() < WINDOW_ANYWHERE:
            return rng.integers(0, room + 1, 2)
        shift = rng.normal(0, WINDOW_SHIFT * IMAGE_SIZE, 2)
        corner = landmarks[LIPS].mean(0) - self.window / 2 + shift
        return np.clip(corner.round(), 0, room).astype(int)


def pose_distance(faces: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Difference of head poses, regardless of shift, size and roll.

    Root mean square distance (N,) of the rigid points of faces (N, 68, 2) and a face (68, 2), in
    widths of the jaw.
    """
    source, target = faces[:, RIGID_POINTS], face[RIGID_POINTS]
    scale, rotation, translation = similarity(source, target)
    offsets = scale[:, None, None] * (source @ rotation) + translation[:, None] - target
    return np.sqrt(np.square(offsets).sum(-1).mean(-1)) / max(jaw_width(face), 1.0)


def random_affine(rng: np.random.Generator) -> np.ndarray:
    """Random affine map (2, 3) of a packed image about its centre: turn, scale and shift."""
    angle, scale = rng.normal(0, TURN / 2), np.exp(rng.normal(0, SCALE / 2))
    centre = (PACKED_SIZE - 1) / 2
    matrix = cv2.getRotationMatrix2D((centre, centre), angle, scale)
    matrix[:, 2] += rng.normal(0, SHIFT / 2, 2)
    return matrix


def random_look(rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """Random function that changes colours and sharpness of images uint8 (H, W, 3) alike."""
    contrast, gamma = np.exp(rng.normal(0, TONE, 2))
    gains = np.exp(rng.normal(0, TONE / 2, 3)) * np.exp(rng.normal(0, TONE))
    tones = ((np.linspace(0, 1, 256)[:, None] ** gamma - 0.5) * contrast + 0.5) * gains
    if rng.random() < POSTERISED:
        levels = rng.integers(5, 12)
        tones = np.round(tones * levels) / levels
    if rng.random() < INVERTED:
        tones = 1 - tones
    table = (255 * np.clip(tones, 0, 1)).astype(np.uint8)[:, None, :]
    saturation = 0.0 if rng.random() < GREY else float(np.exp(rng.normal(0, 2 * TONE)))
    mix = saturation * np.eye(3) + (1 - saturation) * np.tile(LUMINANCE, (3, 1))
    mix = mix[:, rng.permutation(3)] if rng.random() < GREY else mix
    sigma = rng.uniform(0.4, 1.2) if rng.random() < BLURRED else 0.0

    def look(image: np.ndarray) -> np.ndarray:
        image = cv2.LUT(cv2.transform(np.ascontiguousarray(image), mix), table)
        return cv2.GaussianBlur(image, (0, 0), sigma) if sigma else image

    return look
