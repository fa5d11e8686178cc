"""Baselines that predict landmarks without a network.

  static    the clip's face at rest
  loudness  displacement linear in the clip's log mel energy, fitted to the training clips
  mean      mean displacement of the training clips, the same in every frame

Training speakers have equal weight in the fits, whatever the length of their clips; augmented
copies and synthetic speech are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.data.dumps import Clip
from src.errors import InputError
from src.face.topology import LANDMARK_COUNT
from src.metrics.predictions import (
    Example,
    clip_name,
    is_augmented,
    mel_energy,
    read_analysis,
    speaker_name,
    with_rest,
)

BASELINES = ("static", "loudness", "mean")


@dataclass(frozen=True)
class Baselines:
    """Fit to training clips: displacement = slope * energy + intercept, and the mean one."""

    slope: np.ndarray  # (204,)
    intercept: np.ndarray  # (204,)
    mean: np.ndarray  # (204,)

    def predict(self, example: Example) -> dict[str, np.ndarray]:
        """Landmarks (T, 68, 3) by the names in `BASELINES`."""
        loudness = example.energy[:, None] * self.slope + self.intercept
        static = np.zeros_like(loudness)
        displacements = (static, loudness, static + self.mean)
        return {
            name: example.still + displacement.reshape(-1, LANDMARK_COUNT, 3)
            for name, displacement in zip(BASELINES, displacements, strict=True)
        }


def fit_baselines(
    clips: Iterable[Clip], analysed: Path, posed: bool, synthetic: set[str]
) -> Baselines:
    """Fit the baselines to training clips.

    Args:
        clips: of a training dump.
        analysed: folder with the clips' spectra; the dump's converted ones are used without them.
        posed: the clips have head motion.
        synthetic: names of clips that are left out, unless there are no others.

    Raises:
        InputError: there is no clip.
    """
    originals = [clip for clip in clips if not is_augmented(clip.name)]
    recorded = [clip for clip in originals if clip_name(clip.name) not in synthetic] or originals
    if not recorded:
        raise InputError("the training dump has no clips to fit the baselines to")
    frames = Counter()
    for clip in recorded:
        frames[speaker_name(clip.name)] += len(clip.features)
    gram, moments = np.zeros((2, 2)), np.zeros((2, 3 * LANDMARK_COUNT))
    for clip in recorded:
        spectrum = read_analysis(clip, analysed)
        energy = mel_energy(spectrum["mel"] if spectrum else clip.features)
        energy = energy[: len(clip.landmarks)]
        landmarks, still = with_rest(clip.landmarks[: len(energy)], posed)
        columns = np.stack([np.ones_like(energy), energy])
        weight = 1 / (len(frames) * frames[speaker_name(clip.name)])
        gram += weight * columns @ columns.T
        moments += weight * columns @ (landmarks - still).reshape(len(landmarks), -1)
    intercept, slope = np.linalg.lstsq(gram, moments, rcond=None)[0]
    return Baselines(slope, intercept, moments[0] / gram[0, 0])
