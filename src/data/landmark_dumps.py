"""Landmark dumps: content features and landmarks of clips and synthetic speech."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from src.command_line import progress
from src.data.analysis import analyse
from src.data.augmentation import VoiceAugmentation
from src.data.clips import clip_problem, read_tracked_clips
from src.data.dumps import CONTENT_DUMP, Clip, read_voices, write_clips, write_pickle
from src.data.lip_shapes import mouth_motion
from src.data.reference_faces import ReferenceFaces, load_reference_faces
from src.data.settings import Preparation
from src.data.splits import SPLITS, choose_splits
from src.data.synthesis import is_synthetic, read_utterance, utterance_paths, voice_of
from src.data.tracking import align
from src.data.workers import load_networks, parallel_map
from src.errors import InputError
from src.face.registration import HeadPoses, head_poses, register
from src.io.audio import HOP_LENGTH
from src.io.files import atomic_write, read_arrays
from src.models.loading import load_network
from src.speech.voice_conversion import convert_voice


@dataclass(frozen=True)
class Passage:
    """Landmarks with the audio that belongs to them."""

    source: Path  # tracked clip or synthetic utterance, with the audio
    speaker: str
    landmarks: np.ndarray  # float32 (T, 204) at FRAME_RATE, normalised

    @property
    def names(self) -> tuple[str, ...]:
        """Names by which the passage is held out: its own, its speaker's, a synthetic voice's."""
        voice = (voice_of(self.source),) if is_synthetic(self.source) else ()
        return self.source.stem, self.speaker, *voice


def clip_passages(root: Path, standard_face: np.ndarray, head_motion: bool) -> Iterator[Passage]:
    """Passages of all usable clips.

    Args:
        head_motion: keep it, registering each clip as a whole (for the speaker-aware branch); else
            register every frame, and take clips in sync only (for the content branch).
    """
    for path, clip in read_tracked_clips(root):
        if clip_problem(clip) or not (head_motion or clip["synced"]):
            continue
        landmarks, _ = align(clip)
        registered = register(landmarks, standard_face, keep_motion=head_motion)
        flat = registered.reshape(len(registered), -1).astype(np.float32)
        yield Passage(path, str(clip["speaker"]), flat)


def synthetic_passages(root: Path, faces: ReferenceFaces) -> Iterator[Passage]:
    """Passages of synthetic speech: lip motion from its phones, on faces of training speakers."""
    for index, path in enumerate(utterance_paths(root)):
        utterance = read_utterance(path)
        motion = mouth_motion(utterance.phones, len(utterance.wav) // HOP_LENGTH)
        static = faces.static_faces[index % len(faces.static_faces)].reshape(1, -1)
        landmarks = (static + motion @ faces.lip_weights).astype(np.float32)
        yield Passage(path, utterance.speaker, landmarks)


def write_dumps(settings: Preparation, head_motion: bool) -> None:
    """Write the landmark dumps of all three splits.

    Args:
        head_motion: for the speaker-aware branch (clips only, head motion kept) instead of the
            content branch (registered faces; synthetic speech and augmented copies too).

    Raises:
        InputError: reference faces are absent, or as for `target_embedding`.
    """
    root = settings.root_dir
    name = settings.dump_file_name or ("speaker_aware" if head_motion else CONTENT_DUMP)
    target = target_embedding(settings)
    faces = load_reference_faces(root)
    passages = list(clip_passages(root, faces.standard_face, head_motion))
    if not head_motion:
        passages += synthetic_passages(root, faces)
    held_out = choose_splits(root, settings.val, settings.test)
    for split in SPLITS:
        chosen = [passage for passage in passages if held_out.split_of(*passage.names) == split]
        convert = functools.partial(
            _content_features,
            copies=settings.changed_copies if split == "train" and not head_motion else 0,
            autovc=settings.load_autovc,
            target=target,
        )
        sources = [passage.source for passage in chosen]
        converted = parallel_map(convert, sources, settings.jobs)
        converted = progress(converted, len(sources), f"converting clips, {split}")
        clips: list[Clip] = []
        poses: list[HeadPoses] = []
        for passage, (features, embedding) in zip(chosen, converted, strict=True):
            for copy, mel in enumerate(features):
                landmarks = passage.landmarks[: len(mel)]
                title = f"{passage.speaker}/{passage.source.stem}+{copy}"
                clips.append(Clip(mel[: len(landmarks)], landmarks, title, embedding))
                if head_motion:
                    poses.append(head_poses(landmarks, faces.standard_face))
        write_clips(root, split, clips, name)
        if head_motion:
            # The published third dump of the speaker-aware branch: lists of arrays, one per clip.
            lists = {key: [getattr(pose, key) for pose in poses] for key in HeadPoses._fields}
            write_pickle(root / "dump" / f"{name}_{split}_gaze.pickle", lists)


def target_embedding(settings: Preparation) -> np.ndarray | None:
    """Embedding (256,) of the speaker to whom AutoVC converts; None for the plain log-mel.

    It is also written to ``<root>/dump/target_embedding.npy``.

    Raises:
        InputError: the checkpoint is not one of AutoVC, or the target speaker is not among the
            voices that it was trained on, ``<root>/dump/voices.npz``.
    """
    if settings.plain_mel:
        return None
    folder = settings.root_dir / "dump"
    if settings.load_autovc is None:
        target = load_networks().target_embedding
    else:
        _load_autovc(settings.load_autovc)
        voices = read_voices(settings.root_dir)
        chosen = voices.speakers == settings.target_voice
        if not chosen.any():
            raise InputError(
                f"--target_voice {settings.target_voice}: no such speaker in dump/voices.npz"
            )
        target = voices.embeddings[chosen].mean(0)
    with atomic_write(folder / "target_embedding.npy") as partial:
        np.save(partial, target)
    return target


def _content_features(
    source: Path, copies: int, autovc: Path | None, target: np.ndarray | None
) -> tuple[list[np.ndarray], np.ndarray]:
    """Content features (T, 80) of a passage and of its augmented copies; its embedding (256,)."""
    # Read here, so that the audio of all passages is never in memory together.
    wav = read_utterance(source).wav if is_synthetic(source) else align(read_arrays(source))[1]
    analysis = analyse(wav, source.parents[1] / "analysed" / source.name)
    # Seeded by name, so that order and number of processes do not change the results.
    augment = VoiceAugmentation(torch.Generator().manual_seed(zlib.crc32(source.stem.encode())))
    mels = [analysis["mel"]]
    mels += [augment(torch.from_numpy(mels[0])[None])[0].numpy() for _ in range(copies)]
    if target is not None:
        voice = analysis["f0_bins"], analysis["embedding_normalised"]
        mels = [convert_voice(_load_autovc(autovc), mel, *voice, target) for mel in mels]
    return [mel.astype(np.float32) for mel in mels], analysis["embedding"]


@functools.cache
def _load_autovc(checkpoint: Path | None) -> torch.nn.Module:
    """AutoVC of a checkpoint, or the default one; loaded once per process."""
    return (
        load_network("autovc", checkpoint).network.eval() if checkpoint else load_networks().autovc
    )
