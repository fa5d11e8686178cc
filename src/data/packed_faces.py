"""Packed faces: the images that image translation is trained on.

``<root_dir>/dump/<name>_<split>.npz`` has concatenated JPEGs with the landmarks of each. An image
shows the square that is cut out of a portrait (`src.face.crop`) and a margin, so that the head may
move and the square may be shifted. All images of a clip show the same square.
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
from src.data.clips import VIDEO_RATE, face_detected, face_problem, find_clips
from src.data.dumps import read_output
from src.data.settings import Preparation
from src.data.splits import choose_splits
from src.data.workers import parallel_map
from src.errors import InputError
from src.face.crop import FaceCrop, cut, face_crop
from src.io.files import read_arrays, write_arrays
from src.io.video import read_frames
from src.models.dimensions import IMAGE_SIZE

MARGIN = IMAGE_SIZE // 8
"""Pixels packed around the square."""
PACKED_SIZE = IMAGE_SIZE + 2 * MARGIN
"""Side of a packed image in pixels."""

STILLS = "still"  # speaker of single images
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

    jpeg: np.ndarray  # uint8, image ``i`` is ``jpeg_starts[i]:jpeg_starts[i + 1]``
    jpeg_starts: np.ndarray  # (N + 1,) int64
    landmarks: np.ndarray  # (N, 68, 3) float32 in pixels of the packed image
    starts: np.ndarray  # (C + 1,) int64
    names: np.ndarray  # (C,) of the clips
    speakers: np.ndarray  # (C,) STILLS for single images

    def decode(self, index: int) -> np.ndarray:
        """Image (PACKED_SIZE, PACKED_SIZE, 3) uint8 BGR."""
        first, end = self.jpeg_starts[index : index + 2]
        return cv2.imdecode(self.jpeg[first:end], cv2.IMREAD_COLOR)


def pack_faces(settings: Preparation) -> None:
    """Pack tracked clips and still faces of train, val and test.

    Clips that are not tracked or left out, and stills without a face, are logged and skipped.

    Raises:
        InputError: there is nothing to pack.
    """
    from src.io.image import IMAGE_SUFFIXES  # training needs no Pillow

    root = settings.root_dir
    held_out = choose_splits(root, settings.val, settings.test)
    sources = {source.path.stem: source for source in find_clips(*settings.videos)}
    counts = frames_per_clip({name: source.speaker for name, source in sources.items()})
    jobs = [
        (sources[name].path, root / "clips" / f"{name}.npz", sources[name].speaker, n)
        for name, n in sorted(counts.items())
    ]
    stills = sorted(path for folder in settings.stills for path in folder.iterdir())
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
        write_faces(root, split, settings.dump_file_name or "pictures", clips)
        _log.info("%s: %d clips, %d images", split, len(clips), sum(len(c.jpegs) for c in clips))


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
    """A packed clip, or a packed still, whose face is detected here; or why it is skipped."""
    from src.face.detection import detect_landmarks
    from src.io.image import flatten, read_image

    path, tracked, speaker, count = job
    try:
        if tracked is None:
            image = flatten(read_image(path))
            frames, landmarks = [image], detect_landmarks(image, name=str(path))[None]
        else:
            clip = read_arrays(tracked)
            if problem := face_problem(clip):
                return f"{path}: {problem}"
            frames, landmarks = read_frames(path, VIDEO_RATE), clip["landmarks"]
        packed = pack_clip(path.stem, speaker, frames, landmarks, count)
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
    detected = np.flatnonzero(face_detected(landmarks))
    if not len(detected):
        return None
    median = np.median(landmarks[detected], axis=0)
    if np.ptp(median[:, 0]) < LEAST_FACE:
        return None
    crop = face_crop(median)
    margin = MARGIN * crop.size / IMAGE_SIZE
    wide = FaceCrop(crop.x - margin, crop.y - margin, crop.size + 2 * margin)
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    count = min(most, len(detected))
    chosen = detected[np.unique(np.linspace(0, len(detected) - 1, count).astype(int))]
    jpegs = [
        cv2.imencode(".jpg", cut(frame, wide, PACKED_SIZE), quality)[1].ravel()
        for index, frame in enumerate(frames)
        if index in chosen
    ]
    moved = crop.to_crop(landmarks[chosen[: len(jpegs)]])
    moved[..., :2] += MARGIN
    return PackedClip(name, speaker, jpegs, moved.astype(np.float32))


def write_faces(root: Path, split: str, name: str, clips: list[PackedClip]) -> None:
    """Write the packed faces of a split."""
    jpegs = [jpeg for clip in clips for jpeg in clip.jpegs]
    faces = PackedFaces(
        jpeg=np.concatenate(jpegs),
        jpeg_starts=np.cumsum([0, *map(len, jpegs)]),
        landmarks=np.concatenate([clip.landmarks for clip in clips]),
        starts=np.cumsum([0, *(len(clip.jpegs) for clip in clips)]),
        names=np.array([clip.name for clip in clips]),
        speakers=np.array([clip.speaker for clip in clips]),
    )
    write_arrays(root / "dump" / f"{name}_{split}.npz", **vars(faces))


def read_faces(root: Path, split: str, name: str) -> PackedFaces:
    """Read the packed faces of a split; errors as for `read_output`."""
    return read_output(root / "dump" / f"{name}_{split}.npz", PackedFaces, "pictures")
