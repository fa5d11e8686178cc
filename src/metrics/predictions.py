"""What networks and simple references make of the clips of a split, at the level of landmarks.

Two dumps are read, both as `src.data.dumps` describes them. In that of the content branch every
frame is laid on the standard face: it shows lips. In that of the speaker-aware branch clips are
moved as a whole: it shows heads.

Everything starts from the clip's own face at rest, and adds a displacement to it:

  static    none at all
  loudness  a line for every coordinate in the mel energy of the clip, fitted to the training clips
  mean      the mean displacement of the training clips, the same in every frame
  network   what the branches say, as they were trained to
  played    as in a video: the mouth brought to rest, times the factors, crossed lips parted

Training speakers count alike in the fits, whatever the length of their clips; copies in changed
voices and synthetic speech are left out of them.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from src.data.dumps import Clip
from src.errors import InputError
from src.face.geometry import normalise
from src.face.registration import register, static_face
from src.face.topology import LANDMARK_COUNT
from src.io.audio import FRAME_RATE
from src.metrics import landmark_measures as lm
from src.models.registry import MOTION_NETWORKS, NETWORKS
from src.motion.default import combine, content_displacement, speaker_displacement
from src.motion.displacement import content_output
from src.motion.settings import MotionSettings
from src.motion.smoothing import smooth_joined
from src.speech.features import standardise, windows
from src.speech.mel import DYNAMIC_RANGE
from src.speech.voice_conversion import convert_voice

if TYPE_CHECKING:
    from src.models.loading import MotionModels

REFERENCES = ("static", "loudness", "mean")
MOST_OF_A_SPEAKER = 4  # voices of one speaker in the test of speakers
PLAYED_SECONDS = 8.0  # of sound that all of them move the head to

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Factors:
    """What predicted displacements are multiplied by."""

    lip_x: float
    lip_y: float
    position: float


@dataclass(frozen=True)
class Example:
    """A clip to be judged."""

    name: str
    speaker: str
    true: np.ndarray  # (T, 68, 3)
    still: np.ndarray  # (68, 3): at rest; in the clip's mean pose where it moves
    energy: np.ndarray  # (T,) log10 of the mel energy
    content: np.ndarray  # (T, 80) standardised features
    embedding: np.ndarray  # (256,)


@dataclass(frozen=True)
class References:
    """Fitted to training clips: displacement = slope * energy + start, or mean."""

    slope: np.ndarray  # (204,)
    start: np.ndarray  # (204,)
    mean: np.ndarray  # (204,)


def find_runs(root: Path, names: list[str]) -> dict[str, Path]:
    """The checkpoints of runs under ``<root>/ckpt``, by the kind of network that each holds.

    Of a run, ``ckpt_best.pth`` counts, or else its newest checkpoint.

    Raises:
        InputError: a run has none, or none of a network from voice to landmarks, or two runs
            hold the same kind.
    """
    from src.io.checkpoint import read_checkpoint

    found: dict[str, Path] = {}
    for name in names:
        folder = root / "ckpt" / name
        paths = sorted(folder.glob("ckpt_*.pth"), key=lambda path: path.stat().st_mtime)
        if not paths:
            raise InputError(f"{folder}: no checkpoint of a run (ckpt_*.pth)")
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


def stem_of(name: str) -> str:
    """``speaker/clip+copy`` of a dump to the clip's name."""
    return name.split("/")[-1].split("+")[0]


def speaker_of(name: str) -> str:
    """``speaker/clip+copy`` of a dump to the speaker; a published name stands for itself."""
    return name.split("/")[0]


def is_copy(name: str) -> bool:
    """Whether a training clip is one in a changed voice."""
    return not name.endswith("+0") and "+" in name


def mel_energy(features: np.ndarray) -> np.ndarray:
    """log10 of the power (T,) in log-mel features (T, 80), summed over the bands."""
    power = 10.0 ** (np.asarray(features, np.float64) * DYNAMIC_RANGE / 10.0)
    return np.log10(power.sum(-1))


def at_rest(landmarks: np.ndarray, posed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks (T, 204) as (T, 68, 3), and their face at rest (68, 3).

    Args:
        posed: the head moves, so the face is taken in the clip's mean pose.
    """
    track = np.asarray(landmarks, np.float64).reshape(-1, LANDMARK_COUNT, 3)
    return track, static_face(register(track, track.mean(0)) if posed else track)


def spectrum_of(clip: Clip, analysed: Path) -> dict[str, np.ndarray] | None:
    """What main_prepare_data.py heard in a clip (mel, F0 bins …), where it is kept."""
    path = analysed / f"{stem_of(clip.name)}.npz"
    if not path.is_file():
        return None
    with np.load(path) as data:
        return {key: data[key] for key in ("mel", "f0_bins", "embedding_normalised")}


def fit_references(
    clips: Iterable[Clip], analysed: Path, posed: bool, synthetic: set[str]
) -> References:
    """The loudness line and the mean displacement of training clips.

    Args:
        analysed: folder with the clips' spectra; without them the converted ones of the dump do.
        synthetic: names of clips that are left out, as long as any other is there.

    Raises:
        InputError: no clip to fit to.
    """
    known = [clip for clip in clips if not is_copy(clip.name)]
    known = [clip for clip in known if stem_of(clip.name) not in synthetic] or known
    if not known:
        raise InputError("the training dump has no clips to fit the references to")
    frames = Counter()
    for clip in known:
        frames[speaker_of(clip.name)] += len(clip.features)
    gram, moments = np.zeros((2, 2)), np.zeros((2, 3 * LANDMARK_COUNT))
    for clip in known:
        spectrum = spectrum_of(clip, analysed)
        energy = mel_energy(spectrum["mel"] if spectrum else clip.features)
        frames_here = min(len(energy), len(clip.landmarks))
        energy = energy[:frames_here]
        track, still = at_rest(clip.landmarks[:frames_here], posed)
        columns = np.stack([np.ones_like(energy), energy])
        weight = 1 / (len(frames) * frames[speaker_of(clip.name)])
        gram += weight * columns @ columns.T
        moments += weight * columns @ (track - still).reshape(len(track), -1)
    start, slope = np.linalg.lstsq(gram, moments, rcond=None)[0]
    return References(slope, start, moments[0] / gram[0, 0])


def examples(
    clips: list[Clip], networks: MotionModels, analysed: Path, posed: bool
) -> Iterator[Example]:
    """The clips of a split as the networks hear them.

    Where ``analysed`` has a clip's spectrum, as main_prepare_data.py leaves it, the loaded AutoVC
    converts it; else the dump's own features are taken, and must come from the same AutoVC.
    """
    unheard = 0
    for clip in clips:
        if is_copy(clip.name):
            continue
        spectrum = spectrum_of(clip, analysed)
        if spectrum:
            mel, bins = spectrum["mel"], spectrum["f0_bins"]
            source, target = spectrum["embedding_normalised"], networks.target_embedding
            heard, loud = convert_voice(networks.autovc, mel, bins, source, target), mel_energy(mel)
        else:
            heard, loud = clip.features, mel_energy(clip.features)
            unheard += 1
        frames = min(len(heard), len(clip.landmarks))
        track, still = at_rest(clip.landmarks[:frames], posed)
        yield Example(
            stem_of(clip.name),
            speaker_of(clip.name),
            track,
            still,
            loud[:frames],
            standardise(heard[:frames], networks.mel_mean, networks.mel_std),
            np.asarray(clip.embedding, np.float32),
        )
    if unheard:
        _log.info("%d clips are not in %s: heard as the dump has them", unheard, analysed)


def moved_by_networks(
    example: Example, networks: MotionModels, factors: Factors | None, posed: bool, device
) -> np.ndarray:
    """(T, 68, 3) as the branches predict it, or as a video shows it.

    Args:
        factors: of a video; without them the lips are neither brought to rest nor parted, and
            nothing is smoothed.
        posed: with the speaker-aware branch.
    """
    portrait, _, _ = normalise(example.still, networks.standard_face[:, 2])
    heard = windows(example.content, networks.content_branch.config.window_lead)
    if factors is None:
        moved = content_output(networks.content_branch, heard, portrait)
        moved = example.still + moved.reshape(-1, LANDMARK_COUNT, 3).astype(np.float64)
        return moved + head_displacement(example, networks, 1.0, device) if posed else moved
    settings = MotionSettings(amp_lip_x=factors.lip_x, amp_lip_y=factors.lip_y)
    content = content_displacement(networks.content_branch, heard, portrait, settings)
    speaker = np.zeros_like(content)
    if posed:
        speaker = head_displacement(example, networks, factors.position, device)
    return smooth_joined(combine(example.still, speaker, content)).astype(np.float64)


def head_displacement(
    example: Example, networks: MotionModels, factor: float, device
) -> np.ndarray:
    """Displacement (T, 68, 3) of a clip by the speaker-aware branch."""
    heard = windows(example.content, networks.speaker_branch.config.window_lead)
    return speaker_displacement(networks.speaker_branch, heard, example.embedding, factor)


def moved_by_references(example: Example, references: References) -> dict[str, np.ndarray]:
    """(T, 68, 3) by the name of each reference."""
    line = example.energy[:, None] * references.slope + references.start
    displacements = {"static": np.zeros_like(line), "loudness": line}
    displacements["mean"] = np.zeros_like(line) + references.mean
    return {
        name: example.still + made.reshape(-1, LANDMARK_COUNT, 3)
        for name, made in displacements.items()
    }


def speaker_test(
    example: Example,
    networks: MotionModels,
    voices: list[tuple[str, np.ndarray]],
    factor: float,
    device,
) -> dict[str, float] | None:
    """One sound played with many voices: do those of one person move the head alike?

    Args:
        example: whose sound and face are taken.
        voices: speaker and embedding (256,); of one speaker ``MOST_OF_A_SPEAKER`` at most count.
        factor: on the motion.

    Returns:
        Counts of voices and speakers; of the courses of the nose (percent of the face's width)
        and of the statistics of the motion (as factors) what `separation` says. None where no
        speaker has two voices, or there is but one speaker.
    """
    taken, chosen = Counter(), []
    for speaker, embedding in voices:
        taken[speaker] += 1
        if taken[speaker] <= MOST_OF_A_SPEAKER:
            chosen.append((speaker, embedding))
    if len(taken) < 2 or max(taken.values()) < 2:
        return None
    sound = replace(example, content=example.content[: round(PLAYED_SECONDS * FRAME_RATE)])
    courses, signatures = [], []
    width = lm.face_width(example.still[None]) / 100
    for _, embedding in chosen:
        moved = head_displacement(replace(sound, embedding=embedding), networks, factor, device)
        track = example.still + moved
        courses.append(track[:, lm.NOSE_TIP] / width)
        signatures.append(lm.signature(lm.head_motion(track, example.still, FRAME_RATE)))
    owners = [speaker for speaker, _ in chosen]
    by_course = lm.separation(np.array(courses), owners)
    by_statistics = lm.separation(np.array(signatures), owners)
    return {
        "voices": len(chosen),
        "speakers": len(taken),
        **{f"course_{key}": value for key, value in by_course.items()},
        "statistics_same": float(np.exp(by_statistics["same"])),
        "statistics_others": float(np.exp(by_statistics["others"])),
        "statistics_auc": by_statistics["auc"],
    }
