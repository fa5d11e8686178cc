"""Passages become the dumps that the branches learn from: content features and landmarks."""

from __future__ import annotations

import functools
import itertools
import logging
import pickle
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from src.command_line import progress
from src.data import dumps
from src.data.analysis import is_of
from src.data.passages import load_faces, real_passages, synthetic_passages
from src.data.splits import SPLITS, HeldOut
from src.data.workers import in_parallel, networks_of
from src.errors import InputError
from src.face import registration as faces
from src.io.audio import FRAME_RATE

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Converter:
    """AutoVC as it is handed to processes: where its weights are, and whose voice comes out."""

    weights: Path  # folder of the default checkpoints
    checkpoint: Path | None  # a training's own AutoVC
    target: np.ndarray  # (256,)

    def convert(self, mel: np.ndarray, bins: np.ndarray, embedding: np.ndarray) -> np.ndarray:
        """(T, 80) content features of a spectrum."""
        from src.speech.voice_conversion import convert_voice

        generator = _autovc(self.weights, self.checkpoint)
        return convert_voice(generator, mel, bins, embedding, self.target)


@functools.cache
def _autovc(weights: Path, checkpoint: Path | None) -> torch.nn.Module:
    if checkpoint is None:
        return networks_of(weights).autovc
    from src.models.loading import load_network

    return load_network("autovc", checkpoint).network.eval()


def converter(root: Path, weights: Path, checkpoint: Path | None, target_voice: str) -> Converter:
    """AutoVC for the dumps; the target's embedding goes to ``<root>/dump/target_embedding.npy``.

    Args:
        weights: folder of the checkpoints that main_end2end.py uses; they run by default.
        checkpoint: of a training with the recordings of ``<root>/dump/voices.npz``.
        target_voice: speaker among those, that all voices become.

    Raises:
        InputError: the checkpoint is none of AutoVC, or the voice is unknown.
    """
    _autovc(weights, checkpoint)
    if checkpoint is None:
        target = networks_of(weights).target_embedding
    else:
        known = dumps.read_voices(root / "dump" / "voices.npz")
        chosen = known.speakers == target_voice
        if not chosen.any():
            raise InputError(
                f"--target_voice {target_voice}: no such speaker in the dump of voices"
            )
        target = known.embeddings[chosen].mean(0)
    dumps.replace_file(root / "dump" / "target_embedding.npy", lambda file: np.save(file, target))
    return Converter(weights, checkpoint, target)


def write_dumps(
    root: Path,
    name: str,
    posed: bool,
    convert: Converter | None,
    changed_copies: int,
    held_out: HeldOut,
    processes: int = 1,
) -> None:
    """Write the landmark dumps of all three splits.

    Args:
        name: start of the dumps' names.
        posed: for the speaker-aware branch (real clips, head motion kept) rather than the content
            branch (registered; synthetic speech too).
        convert: None keeps the plain log-mel.
        changed_copies: copies of each training clip in changed voices (``VoiceChanger``).
    """
    known = load_faces(root)
    found = real_passages(root, known.standard_face, posed)
    if not posed:
        found = itertools.chain(found, synthetic_passages(root, known))
    passages, jobs = [], []
    for passage in found:
        analysed = root / "analysed" / f"{passage.name}.npz"
        if not is_of(analysed, passage.wav):
            raise InputError(
                f"{analysed}: absent or of other sound; "
                "main_prepare_data.py --step analyse makes it"
            )
        split = held_out.split_of(passage.speaker, passage.name)
        copies = 1 + (changed_copies if split == "train" else 0)
        passages.append((split, replace(passage, wav=passage.wav[:0])))
        jobs.append((analysed, copies, convert))
    clips: dict[str, list[dumps.Clip]] = {split: [] for split in SPLITS}
    courses: dict[str, list[faces.HeadPoses]] = {split: [] for split in SPLITS}
    converted = progress(
        in_parallel(_convert_one, jobs, processes, ordered=True), len(jobs), "clips to convert"
    )
    for (split, passage), (copies, embedding) in zip(passages, converted, strict=True):
        course = faces.head_poses(passage.landmarks, known.standard_face) if posed else None
        for copy, features in enumerate(copies):
            frames = min(len(features), len(passage.landmarks))
            clip = f"{passage.speaker}/{passage.name}+{copy}"
            clips[split].append(
                dumps.Clip(features[:frames], passage.landmarks[:frames], clip, embedding)
            )
            if course:
                courses[split].append(course.first(frames))
    for split, rows in clips.items():
        dumps.write_clips(root, split, rows, name)
        if posed:
            _write_courses(root / "dump" / f"{name}_{split}_gaze.pickle", courses[split])
        seconds = sum(len(row.features) for row in rows) / FRAME_RATE
        _log.info("%s: %d clips, %.0f minutes", split, len(rows), seconds / 60)


def _convert_one(job: tuple[Path, int, Converter | None]) -> tuple[list[np.ndarray], np.ndarray]:
    """Content features (T, 80) of a passage and its copies in changed voices; its embedding."""
    import torch

    from src.data.augment import VoiceChanger

    analysed, copies, convert = job
    with np.load(analysed) as data:
        mel, bins = data["mel"], data["f0_bins"]
        embedding, normalised = data["embedding"], data["embedding_normalised"]
    # By its name, so that neither order nor number of processes changes what comes out.
    seed = zlib.crc32(analysed.stem.encode())
    changer = VoiceChanger(torch.Generator().manual_seed(seed))
    found = []
    for copy in range(copies):
        heard = changer(torch.from_numpy(mel)[None])[0].numpy() if copy else mel
        features = convert.convert(heard, bins, normalised) if convert else heard
        found.append(features.astype(np.float32))
    return found, embedding


def _write_courses(path: Path, courses: list[faces.HeadPoses]) -> None:
    """The published third dump of the speaker-aware set: lists of arrays, one a clip."""
    lists = {key: [getattr(course, key) for course in courses] for key in faces.HeadPoses.FIELDS}
    dumps.replace_file(path, lambda file: pickle.dump(lists, file, protocol=4))
