"""What networks learn from: stretches of sound with the landmarks that belong to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.data import clips as clips_module
from src.data import dumps, lip_shapes, tracks
from src.data.splits import HeldOut
from src.errors import InputError
from src.face import registration as faces
from src.face.registration import register
from src.io.audio import HOP_LENGTH


@dataclass(frozen=True)
class Faces:
    """What all real faces together say."""

    standard_face: np.ndarray  # (68, 3)
    lip_weights: np.ndarray  # (2, 204)
    static_faces: np.ndarray  # (S, 68, 3), one a speaker of the training split


def measure_faces(root: Path, held_out: HeldOut) -> Faces:
    """Standard face, lip map and static faces from the tracked training clips, to a file too."""
    found = []
    for path in sorted((root / "clips").glob("*.npz")):
        clip = clips_module.read_clip(path)
        speaker, track = str(clip["speaker"]), tracks.clean_track(clip["landmarks"])
        if track is None or held_out.split_of(speaker, path.stem) != "train":
            continue
        found.append((speaker, track))
    if not found:
        raise InputError(f"{root / 'clips'}: no tracked clips; main_prepare_data.py --step clips")
    by_speaker = dict(found)
    at_rest = np.stack([faces.static_face(track) for track in by_speaker.values()])
    standard = faces.standard_face(at_rest)
    displacements, static_faces = [], []
    for speaker, track in found:
        registered = register(track, standard)
        static = faces.static_face(registered)
        displacements.append((registered - static)[::5])
        if track is by_speaker[speaker]:
            static_faces.append(static)
    lip_map = lip_shapes.fit_lip_map(np.concatenate(displacements))
    result = Faces(standard, lip_map.weights, np.stack(static_faces))
    dumps.save_npz(root / "dump" / "faces.npz", **vars(result))
    return result


def load_faces(root: Path) -> Faces:
    """Raises InputError where ``measure_faces`` has not run."""
    path = root / "dump" / "faces.npz"
    if not path.is_file():
        raise InputError(f"{path}: absent; main_prepare_data.py --step faces makes it")
    with np.load(path) as data:
        return Faces(**{key: data[key] for key in Faces.__dataclass_fields__})


@dataclass(frozen=True)
class Passage:
    """A stretch of sound with the landmarks that belong to it."""

    name: str
    speaker: str
    wav: np.ndarray  # int16, loudness as recorded
    landmarks: np.ndarray  # (T, 204) at FRAME_RATE


def clip_in_step(clip: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks (T, 68, 3) in pixels at the audio's rate, and the sound that belongs to them."""
    track = tracks.clean_track(clip["landmarks"])
    track, first = tracks.at_audio_rate(track, float(clip["offset"]), len(clip["wav"]))
    return track, clip["wav"][first : first + len(track) * HOP_LENGTH]


def real_passages(root: Path, standard: np.ndarray, posed: bool) -> Iterator[Passage]:
    """Tracked clips that nothing is wrong with.

    Args:
        posed: keep the head's motion (each clip moved as a whole, for the speaker-aware branch),
            else register every frame (for the content branch, and clips in sync only).
    """
    for path in sorted((root / "clips").glob("*.npz")):
        clip = clips_module.read_clip(path)
        if clips_module.problem_of(clip) or not (posed or clip["synced"]):
            continue
        track, wav = clip_in_step(clip)
        align = faces.register_clip if posed else register
        flat = align(track, standard).reshape(len(track), -1).astype(np.float32)
        yield Passage(path.stem, str(clip["speaker"]), wav, flat)


def synthetic_passages(root: Path, known: Faces) -> Iterator[Passage]:
    """Synthetic speech with lips written from its phones on faces of the training clips."""
    lip_map = lip_shapes.LipMap(known.lip_weights)
    for index, path in enumerate(sorted((root / "synthetic").glob("*.npz"))):
        spoken = dumps.read_spoken(path)
        frames = len(spoken.wav) // HOP_LENGTH
        gap, width = lip_shapes.mouth_tracks(spoken.phones, frames)
        static = known.static_faces[index % len(known.static_faces)]
        landmarks = static.reshape(1, -1) + lip_map.landmarks(gap, width)
        yield Passage(path.stem, spoken.speaker, spoken.wav, landmarks.astype(np.float32))
