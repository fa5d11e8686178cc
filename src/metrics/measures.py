"""How well lips move: against a true clip, and against phone times. Arrays in, numbers out."""

from __future__ import annotations

import numpy as np

BILABIALS = ("p", "b", "m")
OPEN_VOWELS = ("aa", "ae", "ah", "ao", "aw", "ay")
MEASURE_RATE = 25.0  # frames a second at which motion is compared
LARGEST_LAG = 2  # frames either way


def aperture(landmarks: np.ndarray) -> np.ndarray:
    """Inner-lip gap over the distance of the outer eye corners of (T, 68, >=2) landmarks: (T,).

    Independent of the face's size, position and roll.
    """
    points = landmarks[..., :2]
    eyes = np.linalg.norm(points[..., 45, :] - points[..., 36, :], axis=-1)
    return np.linalg.norm(points[..., 66, :] - points[..., 62, :], axis=-1) / eyes


def aperture_correlation(made: np.ndarray, true: np.ndarray, lag: int = LARGEST_LAG) -> float:
    """Pearson correlation of two tracks (T,) at their best lag of up to ``lag`` frames.

    Frames where either is NaN (no face seen) do not count. NaN where a track does not move.
    """
    frames = min(len(made), len(true))
    made, true = made[:frames], true[:frames]
    best = -np.inf
    for shift in range(-lag, lag + 1):
        a = made[max(0, shift) : frames + min(0, shift)]
        b = true[max(0, -shift) : frames + min(0, -shift)]
        seen = np.isfinite(a) & np.isfinite(b)
        if seen.sum() > 2 and a[seen].std() > 1e-9 and b[seen].std() > 1e-9:
            best = max(best, float(np.corrcoef(a[seen], b[seen])[0, 1]))
    return best if np.isfinite(best) else float("nan")


def phone_extremes(
    gap: np.ndarray, rate: float, phones: list[tuple[str, float, float]]
) -> tuple[list[float], list[float]]:
    """Widest gap in each open vowel and least gap in each of p, b, m.

    Args:
        gap: (T,) at ``rate`` frames a second; frame i is at i / rate seconds.
        phones: CMU name, start and end in seconds.
    """
    opened, shut = [], []
    for name, start, end in phones:
        first, last = int(np.ceil(start * rate)), int(np.floor(end * rate))
        if last < first:  # shorter than a frame: the nearest one
            first = last = round(0.5 * (start + end) * rate)
        span = gap[max(0, first) : last + 1]
        if not np.isfinite(span).any():
            continue
        if name in OPEN_VOWELS:
            opened.append(float(np.nanmax(span)))
        elif name in BILABIALS:
            shut.append(float(np.nanmin(span)))
    return opened, shut


def open_shut_auc(opened: list[float], shut: list[float]) -> float:
    """Probability that a widest vowel gap exceeds a least bilabial gap; ties count half."""
    if not opened or not shut:
        return float("nan")
    wide, least = np.asarray(opened)[:, None], np.asarray(shut)[None]
    return float(np.mean((wide > least) + 0.5 * (wide == least)))
