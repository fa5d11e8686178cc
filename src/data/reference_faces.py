"""Reference faces of a data set: standard face, lip map and static faces of its speakers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.data.clips import read_tracked_clips
from src.data.dumps import read_output
from src.data.lip_shapes import fit_lip_weights
from src.data.settings import Preparation
from src.data.splits import choose_splits
from src.data.tracking import clean_landmarks
from src.errors import InputError
from src.face.registration import register, standard_face, static_face
from src.io.files import write_arrays


@dataclass(frozen=True)
class ReferenceFaces:
    """Measured over the training clips; ``<root_dir>/dump/faces.npz``."""

    standard_face: np.ndarray  # (68, 3) mean face, normalised
    lip_weights: np.ndarray  # (2, 204), see `lip_shapes.fit_lip_weights`
    static_faces: np.ndarray  # (S, 68, 3) registered, one per training speaker


def measure_reference_faces(settings: Preparation) -> None:
    """Measure the reference faces on the tracked training clips and write them.

    Raises:
        InputError: there is no clip to measure.
    """
    root = settings.root_dir
    held_out = choose_splits(root, settings.val, settings.test)
    found = []
    for path, clip in read_tracked_clips(root):
        speaker, landmarks = str(clip["speaker"]), clean_landmarks(clip["landmarks"])
        if landmarks is not None and held_out.split_of(speaker, path.stem) == "train":
            found.append((speaker, landmarks))
    if not found:
        raise InputError(f"{root / 'clips'}: no tracked clips; main_prepare_data.py --step clips")
    last_of = dict(found)
    static_faces = np.stack([static_face(clip) for clip in last_of.values()])
    standard = standard_face(static_faces)
    displacements, static_faces = [], []
    for speaker, landmarks in found:
        registered = register(landmarks, standard)
        static = static_face(registered)
        displacements.append((registered - static)[::5])
        if landmarks is last_of[speaker]:
            static_faces.append(static)
    lip_weights = fit_lip_weights(np.concatenate(displacements))
    faces = ReferenceFaces(standard, lip_weights, np.stack(static_faces))
    write_arrays(root / "dump" / "faces.npz", **vars(faces))


def load_reference_faces(root: Path) -> ReferenceFaces:
    """Read what `measure_reference_faces` wrote; errors as for `read_output`."""
    return read_output(root / "dump" / "faces.npz", ReferenceFaces, "faces")
