"""Quality of generated frames beside the ground truth's.

Each metric gives a value for every frame of a run, or one for the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from src.face.crop import FaceCrop, cut, face_crop
from src.face.geometry import jaw_width
from src.face.topology import LIPS
from src.models.dimensions import IMAGE_SIZE

MOUTH_SIZE = 96  # pixels to which the square round the mouth is resized
MOUTH_MARGIN = 1.4  # side of that square over the mouth's width

Pairs = list[tuple[np.ndarray, np.ndarray]]
"""Reference and generated image of each frame, uint8 (size, size, 3)."""


@dataclass(frozen=True)
class ImageRun:
    """Consecutive frames generated from the ground truth's landmarks, beside the ground truth."""

    frames: Sequence[tuple[np.ndarray, np.ndarray]]  # reference and generated, uint8 (H, W, 3)
    landmarks: np.ndarray  # (N, 68, 3) pixels, of the reference
    detected: np.ndarray  # (N, 68, 3) found in the generated frames, NaN where there is no face

    @cached_property
    def faces(self) -> Pairs:
        return self._cut(face_crop, IMAGE_SIZE)

    @cached_property
    def mouths(self) -> Pairs:
        return self._cut(mouth_crop, MOUTH_SIZE)

    def _cut(self, square_of: Callable[[np.ndarray], FaceCrop], size: int) -> Pairs:
        squares = map(square_of, self.landmarks)
        return [
            (cut(reference, square, size), cut(generated, square, size))
            for (reference, generated), square in zip(self.frames, squares, strict=True)
        ]


def mouth_crop(landmarks: np.ndarray) -> FaceCrop:
    """The square round the lips of landmarks (68, 2 or 3) in pixels."""
    lips = landmarks[LIPS, :2]
    low, high = lips.min(0), lips.max(0)
    size = MOUTH_MARGIN * float((high - low).max())
    corner = (low + high) / 2 + 0.5 - size / 2
    return FaceCrop(float(corner[0]), float(corner[1]), size)


def grey(image: np.ndarray) -> np.ndarray:
    """Grey levels of a BGR image, float32."""
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)


def face_psnr(run: ImageRun) -> list[float]:
    """Peak signal-to-noise ratio of the face's square in dB, infinite for equal images."""
    return [peak_signal_noise_ratio(*pair) for pair in run.faces]


def mouth_psnr(run: ImageRun) -> list[float]:
    """As `face_psnr`, of the mouth's square."""
    return [peak_signal_noise_ratio(*pair) for pair in run.mouths]


def face_ssim(run: ImageRun) -> list[float]:
    """Structural similarity of the face's square (Wang et al. 2004)."""
    return [structural_similarity(*pair, channel_axis=2) for pair in run.faces]


def mouth_sharpness(run: ImageRun) -> list[float]:
    """Variance of the Laplacian of the mouth's square over the ground truth's."""
    values = []
    for pair in run.mouths:
        reference, generated = (cv2.Laplacian(grey(mouth), cv2.CV_32F).var() for mouth in pair)
        values.append(float(generated / max(reference, 1e-6)))
    return values


def lip_error(run: ImageRun) -> list[float]:
    """Mean distance of the 20 lip landmarks found in the frame, percent of the jaw's width."""
    distances = np.linalg.norm((run.detected - run.landmarks)[:, LIPS, :2], axis=-1).mean(-1)
    return list(100 * distances / jaw_width(run.landmarks[..., :2]))


def flicker(run: ImageRun) -> list[float]:
    """Mean absolute second difference of the grey levels over time, over the ground truth's.

    Measured in the square of the middle frame's face.
    """
    square = face_crop(run.landmarks[len(run.landmarks) // 2])
    sides = zip(*run.frames, strict=True)
    steady = np.array([[grey(cut(frame, square)) for frame in side] for side in sides])
    reference, generated = np.abs(np.diff(steady, n=2, axis=1)).mean((1, 2, 3))
    return [float(generated / max(reference, 1e-6))]
