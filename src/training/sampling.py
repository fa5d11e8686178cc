"""How often each clip of a corpus is drawn."""

from __future__ import annotations

import numpy as np

from src.errors import InputError


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

    Raises:
        InputError: a prefix matches no clip, or no clip can be drawn.

    Returns:
        (C,) chances that sum to 1.
    """
    able = np.where(np.asarray(lengths) >= least, lengths, 0).astype(np.float64)
    groups = np.full(len(able), "", object)
    for prefix in sorted(shares, key=len):
        members = [i for i, name in enumerate(names) if name.startswith(prefix)]
        if not members:
            raise InputError(f"--share {prefix}: no clip to train on is of such a speaker")
        groups[members] = prefix
    chances = np.zeros(len(able))
    for group, share in {**shares, "": max(0.0, 1.0 - sum(shares.values()))}.items():
        members = groups == group
        if able[members].sum() > 0:
            chances[members] = share * able[members] / able[members].sum()
    if not chances.sum() > 0:
        raise InputError(f"no clip to train on has both {least} frames and a share of the draws")
    return chances / chances.sum()
