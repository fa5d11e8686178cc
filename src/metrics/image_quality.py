"""Quality of generated frames beside the ground truth's.

Each metric gives a value for every frame of a run, or one for the run.
"""

from __future__ import annotations

import cv2
import numpy as np

from src.face.geometry import jaw_width
from src.face.topology import LIPS
from src.metrics.cases import ImageRun, grey


def psnr(reference: np.ndarray, generated: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of 8-bit images; NaN of equal ones."""
    error = np.square(reference.astype(np.float32) - generated).mean()
    return float(10 * np.log10(255**2 / error)) if error > 0 else float("nan")


def face_psnr(case: ImageRun) -> list[float]:
    """PSNR of the face's square."""
    return [psnr(*pair) for pair in case.faces]


def mouth_psnr(case: ImageRun) -> list[float]:
    """PSNR of the mouth's square."""
    return [psnr(*pair) for pair in case.mouths]


def face_ssim(case: ImageRun) -> list[float]:
    """Structural similarity of the face's square (Wang et al. 2004)."""
    from skimage.metrics import structural_similarity

    return [structural_similarity(*pair, channel_axis=2) for pair in case.faces]


def mouth_sharpness(case: ImageRun) -> list[float]:
    """Variance of the Laplacian of the mouth's square over the ground truth's."""
    values = []
    for pair in case.mouths:
        reference, generated = (cv2.Laplacian(grey(mouth), cv2.CV_32F).var() for mouth in pair)
        values.append(float(generated / max(reference, 1e-6)))
    return values


def lip_error(case: ImageRun) -> list[float]:
    """Mean distance of the 20 lip landmarks found in the frame, percent of the jaw's width."""
    distances = np.linalg.norm((case.detected - case.landmarks)[:, LIPS, :2], axis=-1).mean(-1)
    return list(100 * distances / jaw_width(case.landmarks[..., :2]))


def flicker(case: ImageRun) -> list[float]:
    """Mean absolute second difference over time of the face's square, over the ground truth's."""
    reference, generated = np.abs(np.diff(case.steady_faces, n=2, axis=1)).mean((1, 2, 3))
    return [float(generated / max(reference, 1e-6))]
