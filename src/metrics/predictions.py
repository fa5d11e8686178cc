"""Predictions for the clips of a split, as landmarks: by networks, and by baselines without any.

Clips come from two dumps, both as `src.data.dumps` describes them. In that of the content branch
every frame is registered with the standard face: it shows lips. In that of the speaker-aware branch
clips are registered as a whole: it shows heads ("posed" below). Predicted displacements are added
to each clip's own face at rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from src.data.dumps import Clip
from src.errors import InputError
from src.face.geometry import normalise
from src.face.registration import register, static_face
from src.face.topology import LANDMARK_COUNT
from src.io.checkpoint import read_checkpoint
from src.io.files import read_arrays
from src.metrics.registry import TRUTH
from src.models.registry import MOTION_NETWORKS, NETWORKS
from src.motion.default import amplify_lips, calibrate, combine, speaker_displacement
from src.motion.displacement import content_output
from src.motion.smoothing import smooth_joined
from src.speech.features import standardise
from src.speech.mel import DYNAMIC_RANGE
from src.speech.voice_conversion import convert_voice
from src.speech.windows import windows

if TYPE_CHECKING:
    from src.models.loading import MotionModels
    from src.motion.settings import MotionSettings

SPECTRUM = ("mel", "f0_bins", "embedding_normalised")
"""Arrays that main_prepare_data.py keeps of each clip."""

NETWORK, ANIMATED = "network", "animated"

Baselines = dict[str, tuple[np.ndarray, np.ndarray]]
"""Name to slope and intercept (204,): displacement = slope * energy + intercept."""


@dataclass(frozen=True)
class Example:
    """A clip to be evaluated on, or to fit baselines to."""

    clip: Clip
    spectrum: dict[str, np.ndarray] | None  # kept by main_prepare_data.py
    reference: np.ndarray  # (T, 68, 3) ground truth
    still: np.ndarray  # (68, 3) at rest; in the clip's mean pose where it has head motion
    energy: np.ndarray  # (T,) log10 of the mel energy
    posed: bool  # the head moves


def find_runs(root: Path, names: tuple[str, ...]) -> dict[str, Path]:
    """Checkpoints of trainings under ``<root>/ckpt``, by the kind of network that each holds.

    Raises:
        InputError: a training has none, or none of a network from audio to landmarks, or two
            trainings hold the same kind.
    """
    found: dict[str, Path] = {}
    for name in names:
        files = [root / "ckpt" / name / f"ckpt_{which}.pth" for which in ("best", "last")]
        path = next((path for path in files if path.is_file()), None)
        if path is None:
            raise InputError(f"{files[0].parent}: no {files[0].name} or {files[1].name}")
        contents, _ = read_checkpoint(path)
        kinds = [kind for kind in MOTION_NETWORKS if NETWORKS[kind].key in contents]
        if len(kinds) != 1:
            raise InputError(f"{path}: not AutoVC, a content or a speaker-aware branch")
        if kinds[0] in found:
            raise InputError(f"--name: {found[kinds[0]]} and {path} are both {kinds[0]} networks")
        found[kinds[0]] = path
    return found


def mel_energy(features: np.ndarray) -> np.ndarray:
    """log10 of the power (T,) in log-mel features (T, 80), summed over the bands."""
    power = 10.0 ** (np.asarray(features, np.float64) * DYNAMIC_RANGE / 10.0)
    return np.log10(power.sum(-1))


def read_example(clip: Clip, root: Path, posed: bool) -> Example:
    """A clip with its face at rest and its energy, that of the dump's features without a spectrum.

    Args:
        root: whose folder analysed has the clips' spectra.
        posed: the head moves, so the face at rest is taken in the clip's mean pose.
    """
    path = root / "analysed" / f"{clip.stem}.npz"
    spectrum = read_arrays(path, SPECTRUM) if path.is_file() else None
    energy = mel_energy(spectrum["mel"] if spectrum else clip.features)[: len(clip.landmarks)]
    track = np.asarray(clip.landmarks[: len(energy)], np.float64).reshape(-1, LANDMARK_COUNT, 3)
    still = static_face(register(track, track.mean(0)) if posed else track)
    return Example(clip, spectrum, track, still, energy, posed)


def content_features(example: Example, models: MotionModels) -> np.ndarray:
    """Standardised features (T, 80) that the networks get.

    The loaded AutoVC converts the clip's spectrum. Without one the dump's own features are taken,
    which must come from the same AutoVC.
    """
    features = example.clip.features
    if example.spectrum:
        mel, bins, source = (example.spectrum[name] for name in SPECTRUM)
        features = convert_voice(models.autovc, mel, bins, source, models.target_embedding)
    return standardise(features[: len(example.reference)], models.mel_mean, models.mel_std)


def predict_landmarks(
    example: Example, models: MotionModels, motion: MotionSettings, baselines: Baselines
) -> dict[str, np.ndarray]:
    """Landmarks (T, 68, 3) by method.

    Those of the network are neither calibrated nor amplified; as a video shows them they are
    smoothed as well. The ground truth is among them.
    """
    content = content_features(example, models)
    portrait, _, _ = normalise(example.still, models.standard_face[:, 2])
    speech = windows(content, models.content_branch.config.window_lead)
    lips = content_output(models.content_branch, speech, portrait)
    head = np.float32(0)
    if example.posed:
        head = head_displacement(content, np.float32(example.clip.embedding), models)
    raw = example.still + lips.astype(np.float64) + head
    lips = amplify_lips(calibrate(lips), motion)
    animated = smooth_joined(combine(example.still, motion.amp_pos * head, lips))
    tracks = {TRUTH: example.reference, NETWORK: raw, ANIMATED: animated.astype(np.float64)}
    for name, (slope, intercept) in baselines.items():
        displacement = example.energy[:, None] * slope + intercept
        tracks[name] = example.still + displacement.reshape(-1, LANDMARK_COUNT, 3)
    return tracks


def head_displacement(
    content: np.ndarray, embedding: np.ndarray, models: MotionModels
) -> np.ndarray:
    """Displacement (T, 68, 3) by the speaker-aware branch, of features (T, 80) and a speaker."""
    speech = windows(content, models.speaker_branch.config.window_lead)
    return speaker_displacement(models.speaker_branch, speech, embedding)


def fit_baselines(
    clips: list[Clip], root: Path, posed: bool, synthetic: Container[str]
) -> Baselines:
    """Fit baselines, which are linear in a clip's log mel energy, to training clips.

    "static" is the face at rest, "loudness" fitted to the displacements, "mean" their mean.
    Training speakers have equal weight, whatever the length of their clips; augmented copies are
    left out.

    Args:
        synthetic: names of clips that are left out, unless there are no others. Other arguments as
            for `read_example`.

    Raises:
        InputError: there is no clip.
    """
    clips = [clip for clip in clips if not clip.is_augmented]
    clips = [clip for clip in clips if clip.stem not in synthetic] or clips
    if not clips:
        raise InputError("the training dump has no clips to fit the baselines to")
    frames = Counter()
    for clip in clips:
        frames[clip.speaker] += len(clip.features)
    gram, moments = np.zeros((2, 2)), np.zeros((2, 3 * LANDMARK_COUNT))
    for clip in clips:
        example = read_example(clip, root, posed)
        columns = np.stack([np.ones_like(example.energy), example.energy])
        displacements = (example.reference - example.still).reshape(len(example.energy), -1)
        weight = 1 / (len(frames) * frames[clip.speaker])
        gram += weight * columns @ columns.T
        moments += weight * columns @ displacements
    intercept, slope = np.linalg.lstsq(gram, moments, rcond=None)[0]
    none = np.zeros_like(slope)
    return {
        "static": (none, none),
        "loudness": (slope, intercept),
        "mean": (none, moments[0] / gram[0, 0]),
    }
