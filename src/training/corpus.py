"""Clips that the landmark networks are trained on, and random draws from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from src.data import dumps
from src.data.dumps import Clip
from src.data.reference_faces import load_reference_faces
from src.errors import InputError
from src.face.registration import register, static_face
from src.face.topology import LANDMARK_COUNT
from src.models.config import ContentConfig, SpeakerConfig
from src.models.dimensions import WINDOW
from src.models.loading import stored_statistics
from src.motion.resampling import resample
from src.speech.features import standardise
from src.training import parallel
from src.training.checkpoints import load_checkpoint
from src.training.loop import Batch
from src.training.settings import LandmarkTraining, SpeakerAwareTraining

MEL_NOISE = 0.1  # std of noise on standardised features

Statistics = tuple[np.ndarray, np.ndarray]
"""Mean and standard deviation (80,) of the features."""


@dataclass(frozen=True)
class Corpus:
    """Clips with their static faces. The clips' arrays may be mapped from the disk."""

    clips: list[Clip]
    static_faces: np.ndarray  # (C, 204)
    mean: np.ndarray  # (80,) of the features
    std: np.ndarray  # (80,)
    lead: int  # frames of a window before the frame that is predicted from it
    gain: float = 1.0  # factor on displacements; above 1 it makes up for the ``amp_pos`` of 0.5

    @classmethod
    def of(
        cls,
        clips: list[Clip],
        statistics: Statistics,
        lead: int,
        reference: np.ndarray | None = None,
        gain: float = 1.0,
    ) -> Corpus:
        """Find each clip's static face, in the pose of a reference (68, 3) if one is given."""
        faces = []
        for clip in clips:
            points = np.asarray(clip.landmarks, np.float32).reshape(-1, LANDMARK_COUNT, 3)
            if reference is not None:
                points = register(points, reference)
            faces.append(static_face(points).reshape(-1))
        return cls(clips, np.array(faces), *statistics, lead, gain)

    def windows(self, clip: int, first: int, end: int, rate: float = 1.0) -> np.ndarray:
        """Standardised windows of a clip's frames from ``first`` to before ``end``.

        Equal to ``src.speech.windows.windows`` of the whole clip, standardised; only the frames
        in these windows are read.

        Args:
            rate: speed at which the clip is played.

        Returns:
            float32 (end - first, WINDOW, 80), a view.
        """
        frames = np.arange(-self.lead, end - first + WINDOW - 1 - self.lead)
        features = resample(self.clips[clip].features, first + rate * frames)
        inputs = standardise(features, self.mean, self.std)
        return np.lib.stride_tricks.sliding_window_view(inputs, WINDOW, axis=0).swapaxes(1, 2)

    def displacements(self, clip: int, first: int, end: int, rate: float = 1.0) -> np.ndarray:
        """float32 (end - first, 204) from the clip's static face, times the gain."""
        times = first + rate * np.arange(end - first)
        points = resample(self.clips[clip].landmarks, times).astype(np.float32)
        return (self.gain * (points - self.static_faces[clip])).astype(np.float32)

    def batch(self, runs: list[tuple], inputs: np.ndarray, rng: np.random.Generator) -> Batch:
        """Read this process's part of R runs of L frames.

        Args:
            runs: arguments of `windows` for each.
            inputs: (R, ...) of the network besides the windows.
            rng: for the noise.

        Returns:
            Windows with noise (R, L, WINDOW, 80), inputs and displacements (R, L, 204).
        """
        # A run's noise is the same whichever process draws it, and no process draws all.
        seeds = rng.integers(2**63, size=len(runs))
        mine = parallel.own(len(runs))
        windows = np.stack([self.windows(*run) for run in runs[mine]])
        for run, seed in zip(windows, seeds[mine], strict=True):
            run += MEL_NOISE * np.random.default_rng(seed).standard_normal(run.shape, np.float32)
        displacements = np.stack([self.displacements(*run) for run in runs[mine]])
        tensors = tuple(map(torch.from_numpy, (windows, inputs[mine], displacements)))
        return Batch(tensors, [self.clips[clip].name for clip, *_ in runs[mine]])


def read_corpora(
    settings: LandmarkTraining,
    config: ContentConfig | SpeakerConfig,
    statistics: Statistics | None,
) -> tuple[Corpus, Corpus]:
    """Read the clips to train on and to validate on.

    Args:
        statistics: by which features are standardised; those of the training clips where None.
            A training that is resumed keeps its own.

    Raises:
        InputError: dumps or the checkpoint to resume from are absent or broken.
    """
    root, name = settings.root_dir, settings.dump_file_name
    with parallel.first_alone():  # which converts a large dump for all
        clips, held_out = dumps.read_training(root, name)
    if settings.split != "val":
        held_out = dumps.read_clips(root, settings.split, name)
    if settings.train and settings.resume:
        path = settings.last_checkpoint
        statistics = stored_statistics(load_checkpoint(path, config), path)
    if statistics is None:
        statistics = feature_statistics(clips)
    reference = None
    if isinstance(settings, SpeakerAwareTraining):
        reference = load_reference_faces(root).standard_face
    common = (statistics, config.window_lead, reference, settings.motion_gain)
    return Corpus.of(clips, *common), Corpus.of(held_out, *common)


def feature_statistics(clips: list[Clip]) -> Statistics:
    """Mean and std (80,) of the features of all clips."""
    count = sum(len(clip.features) for clip in clips)
    mean = sum(clip.features.sum(0, dtype=np.float64) for clip in clips) / count
    square = sum(np.square(clip.features - mean).sum(0, dtype=np.float64) for clip in clips)
    return mean.astype(np.float32), np.sqrt(square / count + 1e-8).astype(np.float32)


def clip_probabilities(
    clips: list[Clip], fractions: Mapping[str, float], min_frames: int, even: bool = False
) -> np.ndarray:
    """Probability that a clip is drawn, by groups of speakers.

    Args:
        clips: their names begin with their speakers' names.
        fractions: of the draws, by prefix of the name; the longest prefix that matches applies.
            Clips that none matches are one more group, with what is left of 1.
        min_frames: shorter clips are never drawn.
        even: draw all clips of a group equally often, not in proportion to their length, so that
            long clips of one person do not outweigh those of others.

    Raises:
        InputError: a prefix matches no clip, or no clip can be drawn.

    Returns:
        (C,), which sums to 1.
    """
    lengths = np.array([len(clip.features) for clip in clips])
    eligible = np.where(lengths >= min_frames, 1 if even else lengths, 0).astype(np.float64)
    groups = np.full(len(clips), "", object)
    for prefix in sorted(fractions, key=len):
        members = np.char.startswith([clip.name for clip in clips], prefix)
        if not members.any():
            raise InputError(f"--share {prefix}: no training clip of a speaker of that name")
        groups[members] = prefix
    probabilities = np.zeros(len(clips))
    for group, fraction in {**fractions, "": max(0.0, 1.0 - sum(fractions.values()))}.items():
        members = groups == group
        if eligible[members].sum() > 0:
            probabilities[members] = fraction * eligible[members] / eligible[members].sum()
    if not probabilities.sum() > 0:
        raise InputError(f"no training clip has both {min_frames} frames and a --share of draws")
    return probabilities / probabilities.sum()


def frames_needed(run_length: int, rate: float) -> int:
    """Frames of a clip in a run of ``run_length`` frames that is played at a rate."""
    return math.ceil((run_length - 1) * rate) + 1
