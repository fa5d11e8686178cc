"""Lip motion from phones, with coarticulation, for speech that has no video.

Each phone has a target opening and width of the mouth and a dominance; neighbours are blended by
their dominance over time (Cohen and Massaro 1993), except that a closure of the lips is complete
while it lasts. Opening and width become displacements of all landmarks by a linear map that is
fitted to real faces.
"""

from __future__ import annotations

import numpy as np

from src.data.synthesis import Phones
from src.face.geometry import inner_lip_gap
from src.face.topology import LANDMARK_COUNT, MOUTH_CORNERS
from src.io.audio import FRAME_RATE

BILABIALS = ("p", "b", "m")
"""Phones (CMU) for which the lips close."""

FULL_OPENING = 0.135
"""Inner lip gap of an open vowel, normalised units: 95th percentile of the training speakers."""

FULL_SPREAD = 0.055
"""Change of the mouth's width from neutral to a spread or rounded vowel, normalised units."""

CLOSURE_EDGE = 0.03  # seconds in which the lips part before and after a complete closure
SHORT_PAUSE = 0.15  # seconds; in a shorter pause the mouth does not close

# Phone (CMU): opening 0-1, spread -1 (rounded) to 1, dominance, and seconds that it reaches beyond
# itself. Diphthongs have two targets. Estimated from textbooks of phonetics; only the order of the
# openings and the closures matter, the scale is that of the real clips.
_TARGETS: dict[str, tuple[tuple[float, float, float, float], ...]] = {
    "aa": ((1.0, 0.0, 1.0, 0.045),),
    "ae": ((0.95, 0.3, 1.0, 0.045),),
    "ah": ((0.7, 0.0, 0.9, 0.04),),
    "ao": ((0.85, -0.45, 1.0, 0.045),),
    "aw": ((0.95, 0.0, 1.0, 0.04), (0.4, -0.7, 0.9, 0.04)),
    "ax": ((0.42, 0.0, 0.5, 0.03),),
    "ay": ((0.95, 0.1, 1.0, 0.04), (0.5, 0.4, 0.8, 0.04)),
    "eh": ((0.68, 0.3, 0.9, 0.04),),
    "er": ((0.42, -0.3, 0.8, 0.04),),
    "ey": ((0.6, 0.4, 0.9, 0.04), (0.42, 0.55, 0.8, 0.04)),
    "ih": ((0.45, 0.3, 0.7, 0.035),),
    "iy": ((0.36, 0.65, 0.9, 0.04),),
    "ow": ((0.6, -0.5, 1.0, 0.045), (0.34, -0.85, 0.9, 0.045)),
    "oy": ((0.65, -0.6, 1.0, 0.045), (0.42, 0.3, 0.8, 0.04)),
    "uh": ((0.42, -0.5, 0.9, 0.04),),
    "uw": ((0.28, -0.9, 1.0, 0.045),),
    "p": ((0.0, 0.0, 1.5, 0.03),),
    "b": ((0.0, 0.0, 1.5, 0.03),),
    "m": ((0.0, 0.0, 1.5, 0.03),),
    "f": ((0.06, 0.1, 3.0, 0.03),),
    "v": ((0.08, 0.1, 2.6, 0.03),),
    "w": ((0.16, -1.0, 2.0, 0.04),),
    "r": ((0.32, -0.45, 0.9, 0.03),),
    "l": ((0.42, 0.1, 0.7, 0.03),),
    "th": ((0.28, 0.1, 1.1, 0.03),),
    "dh": ((0.28, 0.1, 0.9, 0.03),),
    "t": ((0.28, 0.15, 0.9, 0.03),),
    "d": ((0.28, 0.15, 0.9, 0.03),),
    "n": ((0.3, 0.15, 0.8, 0.03),),
    "s": ((0.2, 0.3, 1.3, 0.03),),
    "z": ((0.2, 0.3, 1.2, 0.03),),
    "sh": ((0.26, -0.5, 1.4, 0.035),),
    "zh": ((0.26, -0.5, 1.3, 0.035),),
    "ch": ((0.25, -0.45, 1.4, 0.035),),
    "jh": ((0.25, -0.4, 1.3, 0.035),),
    "k": ((0.38, 0.1, 0.5, 0.03),),
    "g": ((0.38, 0.1, 0.5, 0.03),),
    "ng": ((0.38, 0.1, 0.5, 0.03),),
    "hh": ((0.5, 0.0, 0.2, 0.02),),
    "y": ((0.32, 0.5, 1.0, 0.035),),
    "pau": ((0.0, 0.0, 0.8, 0.06),),
}
_UNKNOWN = ((0.4, 0.0, 0.5, 0.03),)


def mouth_motion(phones: Phones, frames: int, rate: float = FRAME_RATE) -> np.ndarray:
    """Lip gap and change of the mouth's width, (frames, 2) in normalised units, at ``rate`` fps."""
    times = np.arange(frames) / rate
    weight_sum = np.full(frames, 1e-3)
    opening, spread = np.zeros(frames), np.zeros(frames)
    closed = np.ones(frames)
    for name, start, end in phones:
        targets = _TARGETS.get(name, _UNKNOWN)
        edges = np.linspace(start, end, len(targets) + 1)
        for (gap, width, dominance, reach), first, last in zip(
            targets, edges[:-1], edges[1:], strict=True
        ):
            if name == "pau" and end - start < SHORT_PAUSE:
                dominance = 0.1
            weight = dominance * np.exp(-_distance(times, first, last) / reach)
            weight_sum += weight
            opening += weight * gap
            spread += weight * width
        if name in BILABIALS:
            closure = np.clip(_distance(times, start, end) / CLOSURE_EDGE, 0.0, 1.0)
            closed = np.minimum(closed, closure)
    gap = FULL_OPENING * np.minimum(opening / weight_sum, closed)
    return np.stack([gap, FULL_SPREAD * spread / weight_sum], 1)


def _distance(times: np.ndarray, start: float, end: float) -> np.ndarray:
    """Distance of times from an interval, 0 inside."""
    return np.maximum(np.maximum(start - times, times - end), 0.0)


def fit_lip_weights(displacements: np.ndarray) -> np.ndarray:
    """Fit landmark displacements to lip gap and mouth width by least squares.

    Args:
        displacements: (N, 68, 3) of registered faces from their static faces.

    Returns:
        (2, 204) displacement per unit of gap and of width; ``mouth_motion(...) @ weights`` are
        displacements (T, 204).
    """
    right, left = MOUTH_CORNERS
    width = displacements[:, left, 0] - displacements[:, right, 0]
    inputs = np.stack([inner_lip_gap(displacements), width], 1)
    targets = displacements.reshape(len(displacements), LANDMARK_COUNT * 3)
    return np.linalg.lstsq(inputs, targets, rcond=None)[0]
