"""How often each clip of a corpus is drawn."""

from __future__ import annotations

import numpy as np


def clip_chances(
    lengths: np.ndarray, names: list[str], shares: dict[str, float], least: int
) -> np.ndarray:
    """Chance of each clip, in proportion to its length within the share of its group.

    Args:
        lengths: (C,) frames.
        names: each clip's, beginning with its speaker's.
        shares: part of all draws by prefix of the name; the longest prefix that matches counts.
            Clips that none matches are one more group with what is left of 1.
        least: frames; shorter clips are never drawn.

    Returns:
        (C,) chances that sum to 1.
    """
    able = np.where(np.asarray(lengths) >= least, lengths, 0).astype(np.float64)
    groups = np.full(len(able), "", object)
    for prefix in sorted(shares, key=len):
        groups[[i for i, name in enumerate(names) if name.startswith(prefix)]] = prefix
    chances = np.zeros(len(able))
    for group, share in {**shares, "": max(0.0, 1.0 - sum(shares.values()))}.items():
        members = groups == group
        if able[members].sum() > 0:
            chances[members] = share * able[members] / able[members].sum()
    return chances / chances.sum()
