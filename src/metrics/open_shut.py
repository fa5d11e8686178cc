"""Open/shut AUC: whether the lips close for p, b and m and open for vowels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from src.data.lip_shapes import BILABIALS
from src.data.synthesis import Phones
from src.metrics.aperture import MEASURE_RATE

OPEN_VOWELS = ("aa", "ae", "ah", "ao", "aw", "ay")

PHONE_RATE = 8 * MEASURE_RATE
"""Frames per second to which a gap is interpolated: the shortest phones lie between two frames."""

Extremes = tuple[list[float], list[float]]
"""Largest gap in each open vowel, and smallest gap in each p, b and m."""


def phone_extremes(gap: np.ndarray, rate: float, phones: Phones) -> Extremes:
    """Largest gap in each open vowel and smallest gap in each p, b and m.

    Args:
        gap: (T,) at ``rate`` frames per second; frame i is at i / rate seconds.
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


def interpolated_extremes(gap: np.ndarray, rate: float, phones: Phones) -> Extremes:
    """`phone_extremes` of a gap (T,) at a video's frame rate, interpolated linearly.

    A phone shorter than a frame is measured at its own time, not at the nearest frame.
    """
    times = np.arange(int((len(gap) - 1) * PHONE_RATE / rate) + 1) * rate / PHONE_RATE
    return phone_extremes(np.interp(times, np.arange(len(gap)), gap), PHONE_RATE, phones)


def auc(larger: ArrayLike, smaller: ArrayLike) -> float:
    """Probability that a number of the one list exceeds one of the other; ties count half.

    NaN where one of the lists is empty.
    """
    if not len(larger) or not len(smaller):
        return float("nan")
    first, second = np.asarray(larger)[:, None], np.asarray(smaller)
    return float(np.mean((first > second) + 0.5 * (first == second)))


def describe(rows: list[dict[str, Any]]) -> str:
    """Counts of clips, sentences and phones for a table's title, from the values of its cases."""
    spoken = [row["AUC"] for row in rows if "AUC" in row]
    opened, shut = (sum(len(gaps[kind]) for gaps in spoken) for kind in (0, 1))
    phones = f"{len(spoken)} sentences, {opened} open vowels, {shut} p b m"
    return f"{len(rows) - len(spoken)} clips; AUC: {phones}"


def pooled_auc(values: list[Extremes]) -> float:
    """`auc` of open vowels over p, b and m, those of all sentences together."""
    opened, shut = ([gap for value in values for gap in value[kind]] for kind in (0, 1))
    return auc(opened, shut)
