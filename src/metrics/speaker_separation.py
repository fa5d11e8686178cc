"""Separation of speakers: whether one person's voices move the head alike, and others' do not.

All voices move the head to the same recording, so that only the speaker embedding differs. Its
statistics are compared, which do not depend on its timing.
"""

from __future__ import annotations

import numpy as np

from src.metrics.head_motion import Curves, speed, spread
from src.metrics.open_shut import auc

Pairs = tuple[np.ndarray, np.ndarray]
"""Differences of the pairs of voices of the same speaker, and of those of two speakers."""


def statistic_differences(voices: list[Curves], speakers: list[str]) -> Pairs:
    """Root mean square differences of the logarithms of all spreads and speeds, of all pairs."""
    values = [[of(curves, name) for of in (spread, speed) for name in curves] for curves in voices]
    values = np.log(np.maximum(values, 1e-6))
    first, second = np.triu_indices(len(values), 1)
    differences = np.sqrt(np.square(values[first] - values[second]).mean(-1))
    same = np.asarray(speakers)[first] == np.asarray(speakers)[second]
    return differences[same], differences[~same]


def ratio(pairs: Pairs, kind: int) -> float:
    """Root mean square difference, as a ratio, of one speaker's voices (0) or of two speakers' (1).

    NaN without such pairs.
    """
    differences = pairs[kind]
    return float(np.exp(np.sqrt(np.square(differences).mean()))) if len(differences) else np.nan


def separation_auc(pairs: Pairs) -> float:
    """Probability that two speakers differ more than one speaker's voices; 0.5 is chance."""
    same, other = pairs
    return auc(other, same)
