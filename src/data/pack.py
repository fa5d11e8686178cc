"""Pack the faces of tracked clips and of stills for the training of image translation."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np

from src.command_line import progress
from src.data.clips import ClipSource, problem_of_face, read_clip, read_frames
from src.data.shards import MARGIN, PACKED_SIZE, STILLS, PackedClip, write_shards
from src.data.workers import in_parallel
from src.errors import InputError
from src.face.crop import CROP_SIZE, FaceCrop, cut, face_crop
from src.face.detection import detect_landmarks
from src.io.image import flatten, read_picture

JPEG_QUALITY = 82
FRAMES_OF_A_SPEAKER = 80  # at most, so that nobody fills the shards
LEAST_FRAMES = 6  # of a clip, so that there are pairs
LEAST_FACE = 40.0  # pixels across in the video, below which a face is not worth learning from

_log = logging.getLogger(__name__)


def pack_folders(
    root: Path,
    sources: list[ClipSource],
    stills: list[Path],
    split_of: Callable[[str, str], str],
    processes: int,
    name: str = "pictures",
) -> None:
    """Pack tracked clips and still faces into the shards of train, val and test.

    Args:
        root: with ``clips/``, where every clip is tracked.
        sources: the clips' videos.
        stills: pictures of faces; those without a face are named and passed over.
        split_of: train, val or test by speaker and by the clip's or still's own name.
        processes: that work at once.

    Raises:
        InputError: there is nothing to pack.
    """
    jobs = _clip_jobs(root, sources) + [(path, None, STILLS, 1) for path in sorted(stills)]
    if not jobs:
        raise InputError("nothing to pack: name videos (--videos) or still faces (--stills)")
    packed: dict[str, list[PackedClip]] = {}
    work = in_parallel(_pack_one, jobs, processes)
    for clip in progress(work, len(jobs), "packing"):
        if clip is not None:
            packed.setdefault(split_of(clip.speaker, clip.name), []).append(clip)
    for split, clips in sorted(packed.items()):
        clips.sort(key=lambda clip: (clip.speaker, clip.name))
        size = write_shards(root, split, name, clips)
        count = sum(len(clip.jpegs) for clip in clips)
        _log.info("%s: %d clips, %d pictures, %.1f MB", split, len(clips), count, size / 1e6)


def _clip_jobs(root: Path, sources: list[ClipSource]) -> list[tuple]:
    by_name = {source.path.stem: source for source in sources}
    counts = frames_of_each({name: source.speaker for name, source in by_name.items()})
    jobs = []
    for name, count in sorted(counts.items()):
        track = root / "clips" / f"{name}.npz"
        if not track.is_file():
            _log.warning("%s: not tracked, passed over", by_name[name].path)
            continue
        jobs.append((by_name[name].path, track, by_name[name].speaker, count))
    return jobs


def _pack_one(job: tuple[Path, Path | None, str, int]) -> PackedClip | None:
    """Pack a clip by its track, or a still, whose face is looked for here."""
    path, track, speaker, count = job
    try:
        if track is None:
            picture = flatten(read_picture(path))
            return pack_still(path.stem, picture, detect_landmarks(picture, name=str(path)))
        tracked = read_clip(track)
        if problem := problem_of_face(tracked):
            raise InputError(f"{path}: {problem}")
        clip = pack_clip(path.stem, speaker, read_frames(path), tracked["landmarks"], count)
    except InputError as error:
        _log.warning("passed over: %s", error)
        return None
    if clip is None:
        _log.warning("passed over: %s: no face of %g pixels or more", path, LEAST_FACE)
    return clip


def cut_wide(picture: np.ndarray, crop: FaceCrop) -> np.ndarray:
    """The crop's square with `MARGIN` round it: (PACKED_SIZE, PACKED_SIZE, 3) uint8."""
    margin = MARGIN * crop.size / CROP_SIZE
    wide = FaceCrop(crop.x - margin, crop.y - margin, crop.size + 2 * margin)
    return cut(picture, wide, PACKED_SIZE)


def to_packed(landmarks: np.ndarray, crop: FaceCrop) -> np.ndarray:
    """Landmarks (..., 68, 3) in pixels of a picture to pixels of its packed face."""
    moved = crop.to_crop(landmarks)
    moved[..., :2] += MARGIN
    return moved.astype(np.float32)


def pack_clip(
    name: str,
    speaker: str,
    frames: Iterable[np.ndarray],
    landmarks: np.ndarray,
    most: int,
) -> PackedClip | None:
    """Evenly spaced frames of a clip, packed; None where its face is too small or seldom seen.

    Args:
        frames: uint8 BGR (H, W, 3), as many as landmarks.
        landmarks: (T, 68, 3) pixels of them, NaN where no face was found.
        most: frames to take at most.
    """
    seen = np.flatnonzero(np.isfinite(landmarks).all(axis=(1, 2)))
    if len(seen) == 0:
        return None
    typical = np.median(landmarks[seen], axis=0)
    if np.ptp(typical[:, 0]) < LEAST_FACE:
        return None
    crop = face_crop(typical)
    chosen = seen[np.unique(np.linspace(0, len(seen) - 1, min(most, len(seen))).astype(int))]
    wanted = {int(index) for index in chosen}
    jpegs = [_jpeg(cut_wide(frame, crop)) for index, frame in enumerate(frames) if index in wanted]
    if len(jpegs) != len(wanted):
        raise InputError(f"{name}: {len(landmarks)} frames were tracked, but there are fewer now")
    return PackedClip(name, speaker, jpegs, to_packed(landmarks[chosen], crop))


def pack_still(name: str, picture: np.ndarray, landmarks: np.ndarray) -> PackedClip:
    """One still face (H, W, 3) uint8 with its landmarks (68, 3), packed."""
    crop = face_crop(landmarks)
    packed = to_packed(landmarks, crop)[None]
    return PackedClip(name, STILLS, [_jpeg(cut_wide(picture, crop))], packed)


def frames_of_each(speakers: dict[str, str], most: int = FRAMES_OF_A_SPEAKER) -> dict[str, int]:
    """How many frames to take of which clip, so that no speaker has many more than another.

    Args:
        speakers: clip's name to its speaker.
        most: frames of a speaker; clips of one who has too many are left out evenly.
    """
    chosen = {}
    by_speaker = itertools.groupby(sorted(speakers, key=lambda name: speakers[name]), speakers.get)
    for _, group in by_speaker:
        names = sorted(group)
        count = min(len(names), max(1, most // LEAST_FRAMES))
        places = np.linspace(0, len(names) - 1, count).round().astype(int)
        chosen |= {names[place]: max(LEAST_FRAMES, most // count) for place in places}
    return chosen


def _jpeg(picture: np.ndarray) -> np.ndarray:
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].ravel()
