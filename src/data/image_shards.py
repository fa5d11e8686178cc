"""Shards: packed face images of clips and stills, read by the training of image translation.

A shard is ``<root_dir>/dump/<name>_<split>_<number>.npz``: concatenated JPEGs with the landmarks of
each. An image shows the square that is cut out of a portrait (`src.face.crop`) and a margin, so
that the head may move and the square may be shifted. All images of a clip show the same square.
"""

from __future__ import annotations

import collections
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from src.command_line import progress
from src.data.clips import VIDEO_RATE, face_problem, find_clips, read_clip
from src.data.settings import Preparation
from src.data.splits import HeldOut
from src.data.workers import parallel_map
from src.errors import InputError
from src.face.crop import FaceCrop, cut, face_crop
from src.face.detection import detect_landmarks
from src.io.files import read_arrays, write_arrays
from src.io.image import IMAGE_SUFFIXES, flatten, read_image
from src.io.video import read_frames
from src.models.dimensions import IMAGE_SIZE, LANDMARK_COUNT

MARGIN = IMAGE_SIZE // 8
"""Pixels packed around the square."""
PACKED_SIZE = IMAGE_SIZE + 2 * MARGIN
"""Side of a packed image in pixels."""

STILLS = "still"  # speaker of single images
SHARD_BYTES = 12 * 2**20
JPEG_QUALITY = 82
SPEAKER_FRAMES = 80  # at most, so that no speaker dominates
LEAST_FRAMES = 6  # of a clip, so that there are pairs
LEAST_FACE = 40.0  # pixels across in the video, below which a face is not packed

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PackedClip:
    """Some frames of a clip, or one still."""

    name: str
    speaker: str
    jpegs: list[np.ndarray]
    landmarks: np.ndarray  # (n, 68, 3)


@dataclass(frozen=True)
class PackedFaces:
    """All packed faces of a split; those of clip ``i`` are ``starts[i]:starts[i + 1]``."""

    jpegs: list[np.ndarray]  # uint8 each, PACKED_SIZE x PACKED_SIZE when decoded
    landmarks: np.ndarray  # (N, 68, 3) float32 in pixels of the packed image
    starts: np.ndarray  # (C + 1,) int64
    names: list[str]  # (C,) of the clips
    speakers: list[str]  # (C,) STILLS for single images

    def decode(self, index: int) -> np.ndarray:
        """Image (PACKED_SIZE, PACKED_SIZE, 3) uint8 BGR."""
        return cv2.imdecode(self.jpegs[index], cv2.IMREAD_COLOR)


def pack_faces(settings: Preparation, held_out: HeldOut) -> None:
    """Pack tracked clips and still faces into the shards of train, val and test.

    Clips that are not tracked or left out, and stills without a face, are logged and skipped.

    Raises:
        InputError: there is nothing to pack.
    """
    name = settings.dump_file_name or "pictures"
    stills = sorted(path for folder in settings.stills for path in folder.iterdir())
    jobs = _clip_jobs(settings)
    jobs += [(path, None, STILLS, 1) for path in stills if path.suffix.lower() in IMAGE_SUFFIXES]
    if not jobs:
        raise InputError("nothing to pack: name videos (--videos) or still faces (--stills)")
    packed: dict[str, list[PackedClip]] = {}
    for clip in progress(parallel_map(_pack_one, jobs, settings.jobs), len(jobs), "packing"):
        if isinstance(clip, str):
            _log.warning("skipped: %s", clip)
        else:
            packed.setdefault(held_out.split_of(clip.speaker, clip.name), []).append(clip)
    for split, clips in sorted(packed.items()):
        clips.sort(key=lambda clip: (clip.speaker, clip.name))
        size = write_shards(settings.root_dir, split, name, clips)
        count = sum(len(clip.jpegs) for clip in clips)
        _log.info("%s: %d clips, %d images, %.1f MB", split, len(clips), count, size / 1e6)


def _clip_jobs(settings: Preparation) -> list[tuple[Path, Path | None, str, int]]:
    """Arguments of `_pack_one` for the clips."""
    sources = {source.path.stem: source for source in find_clips(*settings.videos)}
    counts = frames_per_clip({name: source.speaker for name, source in sources.items()})
    jobs = []
    for name, count in sorted(counts.items()):
        source, clip = sources[name], settings.root_dir / "clips" / f"{name}.npz"
        if clip.is_file():
            jobs.append((source.path, clip, source.speaker, count))
        else:
            _log.warning("%s: not tracked, skipped", source.path)
    return jobs


def frames_per_clip(speakers: dict[str, str], most: int = SPEAKER_FRAMES) -> dict[str, int]:
    """Number of frames to take of each clip, so that all speakers have about as many.

    Args:
        speakers: by clip name.
        most: frames of a speaker; of one with too many clips, evenly spaced ones are taken.
    """
    by_speaker = collections.defaultdict(list)
    for name, speaker in sorted(speakers.items()):
        by_speaker[speaker].append(name)
    chosen = {}
    for names in by_speaker.values():
        count = min(len(names), max(1, most // LEAST_FRAMES))
        indices = np.linspace(0, len(names) - 1, count).round().astype(int)
        chosen |= {names[index]: max(LEAST_FRAMES, most // count) for index in indices}
    return chosen


def _pack_one(job: tuple[Path, Path | None, str, int]) -> PackedClip | str:
    """Pack a tracked clip, or a still, whose face is detected here; or why it cannot be packed."""
    path, tracked, speaker, count = job
    try:
        if tracked is None:
            image = flatten(read_image(path))
            return pack_still(path.stem, image, detect_landmarks(image, name=str(path)))
        clip = read_clip(tracked)
        if problem := face_problem(clip):
            return f"{path}: {problem}"
        frames = read_frames(path, VIDEO_RATE)
        packed = pack_clip(path.stem, speaker, frames, clip["landmarks"], count)
    except InputError as error:
        return str(error)
    return packed or f"{path}: no face of {LEAST_FACE:g} pixels or more"


def pack_clip(
    name: str,
    speaker: str,
    frames: Iterable[np.ndarray],
    landmarks: np.ndarray,
    most: int,
) -> PackedClip | None:
    """Pack evenly spaced frames of a clip; None where its face is too small or never detected.

    Args:
        frames: uint8 BGR (H, W, 3), as many as landmarks.
        landmarks: (T, 68, 3) in their pixels, NaN where no face was detected.
        most: number of frames to take at most.
    """
    detected = np.flatnonzero(np.isfinite(landmarks).all(axis=(1, 2)))
    if not len(detected):
        return None
    median = np.median(landmarks[detected], axis=0)
    if np.ptp(median[:, 0]) < LEAST_FACE:
        return None
    crop = face_crop(median)
    count = min(most, len(detected))
    chosen = detected[np.unique(np.linspace(0, len(detected) - 1, count).astype(int))]
    wanted = set(chosen.tolist())
    jpegs = [_jpeg(frame, crop) for index, frame in enumerate(frames) if index in wanted]
    if len(jpegs) != len(wanted):
        raise InputError(f"{name}: {len(landmarks)} frames were tracked, but there are fewer now")
    return PackedClip(name, speaker, jpegs, _to_packed(landmarks[chosen], crop))


def pack_still(name: str, image: np.ndarray, landmarks: np.ndarray) -> PackedClip:
    """Pack one image (H, W, 3) uint8 of a face with its landmarks (68, 3)."""
    crop = face_crop(landmarks)
    return PackedClip(name, STILLS, [_jpeg(image, crop)], _to_packed(landmarks[None], crop))


def _jpeg(image: np.ndarray, crop: FaceCrop) -> np.ndarray:
    """Encode the crop's square with `MARGIN` around it."""
    margin = MARGIN * crop.size / IMAGE_SIZE
    wide = FaceCrop(crop.x - margin, crop.y - margin, crop.size + 2 * margin)
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    return cv2.imencode(".jpg", cut(image, wide, PACKED_SIZE), quality)[1].ravel()


def _to_packed(landmarks: np.ndarray, crop: FaceCrop) -> np.ndarray:
    """Landmarks (n, 68, 3) in pixels of an image to pixels of its packed face."""
    moved = crop.to_crop(landmarks)
    moved[..., :2] += MARGIN
    return moved.astype(np.float32)


def shard_paths(root: Path, split: str, name: str) -> list[Path]:
    """Existing shards of a split, in order."""
    return sorted((root / "dump").glob(f"{name}_{split}_[0-9][0-9][0-9].npz"))


def write_shards(root: Path, split: str, name: str, clips: Iterable[PackedClip]) -> int:
    """Write clips as shards, replacing those of the split; return their total bytes."""
    groups: list[list[PackedClip]] = []
    size = SHARD_BYTES
    for clip in clips:
        if size >= SHARD_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(clip)
        size += sum(len(jpeg) for jpeg in clip.jpegs)
    written = [root / "dump" / f"{name}_{split}_{i:03d}.npz" for i in range(len(groups))]
    for path, group in zip(written, groups, strict=True):
        jpegs = [jpeg for clip in group for jpeg in clip.jpegs]
        write_arrays(
            path,
            jpeg=np.concatenate(jpegs),
            jpeg_starts=np.cumsum([0, *map(len, jpegs)]),
            landmarks=np.concatenate([clip.landmarks for clip in group]).astype(np.float32),
            starts=np.cumsum([0, *(len(clip.jpegs) for clip in group)]),
            names=np.array([clip.name for clip in group]),
            speakers=np.array([clip.speaker for clip in group]),
        )
    for path in set(shard_paths(root, split, name)) - set(written):
        path.unlink()
    return sum(path.stat().st_size for path in written)


def read_shards(root: Path, split: str, name: str) -> PackedFaces:
    """Read all packed faces of a split.

    Raises:
        InputError: there are none, or a file is not such a shard.
    """
    paths = shard_paths(root, split, name)
    if not paths:
        raise InputError(
            f"{root / 'dump'}: no {name}_{split}_*.npz; main_prepare_data.py --step pictures writes"
            " them"
        )
    shards = [_read_shard(path) for path in paths]
    counts = np.concatenate([np.diff(shard["starts"]) for shard in shards])
    return PackedFaces(
        [jpeg for s in shards for jpeg in np.split(s["jpeg"], s["jpeg_starts"][1:-1])],
        np.concatenate([shard["landmarks"] for shard in shards]),
        np.cumsum([0, *counts]),
        [name for shard in shards for name in shard["names"].tolist()],
        [speaker for shard in shards for speaker in shard["speakers"].tolist()],
    )


def _read_shard(path: Path) -> dict[str, np.ndarray]:
    shard = read_arrays(path, ("jpeg", "jpeg_starts", "landmarks", "starts", "names", "speakers"))
    count, clips = len(shard["jpeg_starts"]) - 1, len(shard["starts"]) - 1
    if (
        shard["landmarks"].shape != (count, LANDMARK_COUNT, 3)
        or shard["starts"][-1] != count
        or not len(shard["names"]) == len(shard["speakers"]) == clips
    ):
        raise InputError(f"{path}: not a shard: landmarks and images do not belong together")
    return shard
