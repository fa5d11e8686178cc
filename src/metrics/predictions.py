"""Predictions of the networks for the clips of a split, as landmarks.

Clips come from two dumps, both as `src.data.dumps` describes them. In that of the content branch
every frame is registered with the standard face: it shows lips. In that of the speaker-aware branch
clips are registered as a whole: it shows heads ("posed" below). Predicted displacements are added
to each clip's own face at rest.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
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
from src.models.registry import MOTION_NETWORKS, NETWORKS
from src.motion.default import amplify_lips, calibrate, combine, speaker_displacement
from src.motion.displacement import content_output
from src.motion.smoothing import smooth_joined
from src.speech.features import standardise, windows
from src.speech.mel import DYNAMIC_RANGE
from src.speech.voice_conversion import convert_voice

if TYPE_CHECKING:
    from src.models.loading import MotionModels
    from src.motion.settings import MotionSettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Example:
    """A clip to be evaluated on."""

    name: str
    speaker: str
    reference: np.ndarray  # (T, 68, 3) ground truth
    still: np.ndarray  # (68, 3) at rest; in the clip's mean pose where it has head motion
    energy: np.ndarray  # (T,) log10 of the mel energy
    content: np.ndarray  # (T, 80) standardised features
    embedding: np.ndarray  # (256,) speaker embedding


def find_runs(root: Path, names: tuple[str, ...]) -> dict[str, Path]:
    """Checkpoints of trainings under ``<root>/ckpt``, by the kind of network that each holds.

    Of a training, it is ``ckpt_best.pth``, or else the newest checkpoint.

    Raises:
        InputError: a training has none, or none of a network from audio to landmarks, or two
            trainings hold the same kind.
    """
    found: dict[str, Path] = {}
    for name in names:
        folder = root / "ckpt" / name
        paths = sorted(folder.glob("ckpt_*.pth"), key=lambda path: path.stat().st_mtime)
        if not paths:
            raise InputError(f"{folder}: no checkpoint of a training (ckpt_*.pth)")
        best = folder / "ckpt_best.pth"
        path = best if best in paths else paths[-1]
        contents, _ = read_checkpoint(path)
        kinds = [kind for kind in MOTION_NETWORKS if NETWORKS[kind].key in contents]
        if len(kinds) != 1:
            raise InputError(f"{path}: not AutoVC, a content or a speaker-aware branch")
        if kinds[0] in found:
            raise InputError(f"--name: {found[kinds[0]]} and {path} are both {kinds[0]} networks")
        found[kinds[0]] = path
    return found


def clip_name(name: str) -> str:
    """The clip of ``speaker/clip+copy``, a name in a dump."""
    return name.split("/")[-1].split("+")[0]


def speaker_name(name: str) -> str:
    """The speaker of ``speaker/clip+copy``; a published name stands for itself."""
    return name.split("/")[0]


def is_augmented(name: str) -> bool:
    """Whether a training clip is a copy with a changed voice."""
    return not name.endswith("+0") and "+" in name


def mel_energy(features: np.ndarray) -> np.ndarray:
    """log10 of the power (T,) in log-mel features (T, 80), summed over the bands."""
    power = 10.0 ** (np.asarray(features, np.float64) * DYNAMIC_RANGE / 10.0)
    return np.log10(power.sum(-1))


def with_rest(landmarks: np.ndarray, posed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks (T, 204) as (T, 68, 3), and their face at rest (68, 3).

    Args:
        posed: the head moves, so the face is taken in the clip's mean pose.
    """
    track = np.asarray(landmarks, np.float64).reshape(-1, LANDMARK_COUNT, 3)
    return track, static_face(register(track, track.mean(0)) if posed else track)


def read_analysis(clip: Clip, analysed: Path) -> dict[str, np.ndarray] | None:
    """Log-mel, F0 bins and speaker embedding of a clip, where main_prepare_data.py kept them."""
    path = analysed / f"{clip_name(clip.name)}.npz"
    if not path.is_file():
        return None
    return read_arrays(path, ("mel", "f0_bins", "embedding_normalised"))


def read_examples(
    clips: list[Clip], models: MotionModels, analysed: Path, posed: bool
) -> Iterator[Example]:
    """The clips of a split with the features that the networks get.

    Where ``analysed`` has a clip's spectrum, the loaded AutoVC converts it; else the dump's own
    features are taken, which must come from the same AutoVC.
    """
    without_spectrum = 0
    for clip in clips:
        if is_augmented(clip.name):
            continue
        spectrum = read_analysis(clip, analysed)
        if spectrum:
            mel, bins = spectrum["mel"], spectrum["f0_bins"]
            source, target = spectrum["embedding_normalised"], models.target_embedding
            features = convert_voice(models.autovc, mel, bins, source, target)
            energy = mel_energy(mel)
        else:
            features, energy = clip.features, mel_energy(clip.features)
            without_spectrum += 1
        frames = min(len(features), len(clip.landmarks))
        reference, still = with_rest(clip.landmarks[:frames], posed)
        yield Example(
            clip_name(clip.name),
            speaker_name(clip.name),
            reference,
            still,
            energy[:frames],
            standardise(features[:frames], models.mel_mean, models.mel_std),
            np.asarray(clip.embedding, np.float32),
        )
    if without_spectrum:
        _log.info("%d clips are not in %s: the dump's features run", without_spectrum, analysed)


def predict_landmarks(
    example: Example, models: MotionModels, motion: MotionSettings, posed: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks (T, 68, 3) as the networks predict them, and as a video shows them.

    The former are neither calibrated nor amplified, the latter are smoothed as well.
    """
    portrait, _, _ = normalise(example.still, models.standard_face[:, 2])
    speech = windows(example.content, models.content_branch.config.window_lead)
    lips = content_output(models.content_branch, speech, portrait)
    head = head_displacement(example, models) if posed else np.float32(0)
    raw = example.still + lips.astype(np.float64) + head
    lips = amplify_lips(calibrate(lips), motion)
    animated = smooth_joined(combine(example.still, motion.amp_pos * head, lips))
    return raw, animated.astype(np.float64)


def head_displacement(example: Example, models: MotionModels) -> np.ndarray:
    """Displacement (T, 68, 3) of a clip by the speaker-aware branch."""
    speech = windows(example.content, models.speaker_branch.config.window_lead)
    return speaker_displacement(models.speaker_branch, speech, example.embedding)
