"""Separation of speakers: whether one person's voices move the head alike, and others' do not.

All voices move the head to the same recording, so that only the speaker embedding differs. Compared
are the curves of the nose, and the statistics of the motion, which do not depend on its timing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from src.metrics.cases import HeadTrack
from src.metrics.head_motion import speed, spread

Pairs = tuple[np.ndarray, np.ndarray]
"""Differences of the pairs of voices of the same speaker, and of those of two speakers."""


@dataclass(frozen=True)
class SpeakerTracks:
    """Head motion predicted from one recording with the embeddings of many voices."""

    tracks: list[HeadTrack]
    speakers: list[str]  # of each voice

    @cached_property
    def nose(self) -> Pairs:
        """Differences of the nose's positions, percent of the face's width."""
        return pair_differences([track.nose for track in self.tracks], self.speakers)

    @cached_property
    def statistics(self) -> Pairs:
        """Differences of the logarithms of all spreads and speeds."""
        values = [
            [statistic(track, curve) for statistic in (spread, speed) for curve in track.curves]
            for track in self.tracks
        ]
        return pair_differences(np.log(np.maximum(values, 1e-6)), self.speakers)


def pair_differences(points: list[np.ndarray] | np.ndarray, speakers: list[str]) -> Pairs:
    """Root mean square differences of all pairs of points (N, ...)."""
    flat = np.reshape(points, (len(points), -1))
    first, second = np.triu_indices(len(flat), 1)
    differences = np.sqrt(np.square(flat[first] - flat[second]).mean(-1))
    same = np.asarray(speakers)[first] == np.asarray(speakers)[second]
    return differences[same], differences[~same]


def difference(case: SpeakerTracks, of: str, pair: int = 0) -> float:
    """Root mean square difference of voices; NaN where there are no such pairs.

    Args:
        of: "nose", in percent of the face's width, or "statistics", as a ratio.
        pair: 0 for voices of the same speaker, 1 for those of two speakers.
    """
    differences = getattr(case, of)[pair]
    value = float(np.sqrt(np.square(differences).mean())) if len(differences) else float("nan")
    return float(np.exp(value)) if of == "statistics" else value


def separation_auc(case: SpeakerTracks, of: str) -> float:
    """Probability that two speakers differ more than one speaker's voices; ties count half.

    0.5 is chance. NaN where there are no such pairs.
    """
    same, other = getattr(case, of)
    if not len(same) or not len(other):
        return float("nan")
    return float((other[:, None] > same).mean() + 0.5 * (other[:, None] == same).mean())
