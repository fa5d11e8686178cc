"""What is drawn from a corpus: which clips, which of their windows, what noise on them."""

from __future__ import annotations

import numpy as np

from src.data.dumps import Clip
from src.errors import InputError
from src.models.dimensions import WINDOW
from src.motion.resampling import resample
from src.speech.features import standardise


def clip_chances(
    clips: list[Clip], shares: dict[str, float], least: int, even: bool = False
) -> np.ndarray:
    """Chance of each clip within the share of its group.

    Args:
        clips: their names begin with their speakers' names.
        shares: part of all draws by prefix of the name; the longest prefix that matches counts.
            Clips that none matches are one more group with what is left of 1.
        least: frames; shorter clips are never drawn.
        even: draw all clips of a group equally often, not in proportion to their length. Where
            each person has a clip, the longest does not then speak for all.

    Raises:
        InputError: a prefix matches no clip, or no clip can be drawn.

    Returns:
        (C,) chances that sum to 1.
    """
    lengths = np.array([len(clip.features) for clip in clips])
    able = np.where(lengths >= least, 1 if even else lengths, 0).astype(np.float64)
    groups = np.full(len(able), "", object)
    for prefix in sorted(shares, key=len):
        members = [i for i, clip in enumerate(clips) if clip.name.startswith(prefix)]
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


def windows_of(
    features: np.ndarray,
    mean: np.ndarray,
    deviation: np.ndarray,
    lead: int,
    first: int,
    end: int,
    rate: float = 1.0,
) -> np.ndarray:
    """Those windows of a clip that speak for its frames from ``first`` to before ``end``.

    As ``src.speech.features.windows`` of the whole clip standardised, of which only the frames that
    these windows hear are read and standardised.

    Args:
        features: (T, 80).
        rate: how much faster the clip is played: as many windows reach so much further.

    Returns:
        float32 (end - first, WINDOW, 80), a view.
    """
    frames = np.arange(-lead, end - first + WINDOW - 1 - lead)
    heard = standardise(resample(features, first + rate * frames), mean, deviation)
    return np.lib.stride_tricks.sliding_window_view(heard, WINDOW, axis=0).swapaxes(1, 2)


def noise(seeds: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Normal numbers, float32 (len(seeds), *shape), each item from a seed of its own.

    So an item has the same noise whichever process makes it, and no process makes all.
    """
    each = [np.random.default_rng(seed).standard_normal(shape, np.float32) for seed in seeds]
    return np.stack(each)
