"""What is rendered to judge the whole method, and how the videos are scored.

Two kinds of case. A *clip* of a speaker kept out of all training lends a frame as the portrait and
its own sound, and shows how the lips really moved. *Speech* of a voice kept out comes with the
times of its phones, and a portrait that is given.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from src.data.clips import VIDEO_SUFFIXES
from src.data.synthesis import read_utterance
from src.errors import InputError
from src.io.audio import FRAME_RATE, SAMPLE_RATE
from src.metrics import rendered
from src.metrics.aperture import MEASURE_RATE, aperture, aperture_correlation
from src.metrics.open_shut import interpolated_extremes, open_shut_auc

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Case:
    """A portrait and a voice, and what is known of how the lips should move."""

    name: str
    speaker: str
    portrait: np.ndarray  # (H, W, 3) uint8 BGR
    wav: np.ndarray  # int16 at SAMPLE_RATE
    true: np.ndarray | None = None  # (T, 68, 3) pixels of the clip at MEASURE_RATE
    portrait_frame: np.ndarray | None = None  # (68, 3) of the frame that became the portrait
    phones: list[tuple[str, float, float]] | None = None


@dataclass(frozen=True)
class Score:
    """One case judged; each way of moving the lips (video, landmarks …) by its name."""

    name: str
    speaker: str
    seen: float  # share of the video's frames in which a face was found
    motion: rendered.Motion
    true_motion: rendered.Motion | None = None
    correlations: dict[str, float] = field(default_factory=dict)
    opened: dict[str, list[float]] = field(default_factory=dict)
    shut: dict[str, list[float]] = field(default_factory=dict)


def find_video(folders: list[Path], stem: str) -> Path:
    """The video of that name in the folders or below them.

    Raises:
        InputError: there is none.
    """
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.stem == stem and path.suffix.lower() in VIDEO_SUFFIXES:
                return path
    where = " ".join(map(str, folders)) or "none given"
    raise InputError(f"--videos {where}: no video of the tracked clip {stem}")


def clip_cases(root: Path, speakers: list[str], videos: list[Path]) -> Iterator[Case]:
    """The tracked clips of some speakers, sound and picture put in step.

    Raises:
        InputError: a speaker has no clip with speech in sync, or a clip's video is missing.
    """
    missing = set(speakers)
    for path in sorted((root / "clips").glob("*.npz")):
        with np.load(path) as clip:
            speaker = str(clip["speaker"])
            if speaker not in speakers or not clip["synced"]:
                continue
            track, wav = clip["landmarks"].astype(np.float64), clip["wav"]
            offset = float(clip["offset"])
        missing.discard(speaker)
        frames, samples = rendered.in_step(len(track), len(wav), offset)
        chosen = rendered.portrait_frame(track)
        picture = video_frame(find_video(videos, path.stem), chosen)
        yield Case(path.stem, speaker, picture, wav[samples], track[frames], track[chosen])
    if missing:
        names = " ".join(sorted(missing))
        raise InputError(f"{root / 'clips'}: no clip with speech in sync of {names}")


def video_frame(path: Path, index: int) -> np.ndarray:
    """One frame (H, W, 3) of a video, as it is tracked.

    Raises:
        InputError: the video ends before, so it is not the one that was tracked.
    """
    from src.io.video import read_frames

    for number, frame in enumerate(read_frames(path, MEASURE_RATE)):
        if number == index:
            return frame.copy()
    raise InputError(f"{path}: has no frame {index}, though the tracked clip of that name has")


def speech_cases(root: Path, voices: list[str], portrait: np.ndarray, most: int) -> Iterator[Case]:
    """The first ``most`` sentences of each synthetic voice.

    Raises:
        InputError: a voice has none.
    """
    for voice in voices:
        paths = sorted((root / "synthetic").glob(f"{voice}_*.npz"))[:most]
        if not paths:
            raise InputError(f"{root / 'synthetic'}: no speech of the voice {voice}")
        for path in paths:
            spoken = read_utterance(path)
            yield Case(path.stem, voice, portrait, spoken.wav, phones=spoken.phones)


def score(
    case: Case, track: np.ndarray, landmarks: np.ndarray | None, ceiling: np.ndarray | None
) -> Score:
    """Judge a rendered case.

    Args:
        track: (T, 68, 3) found again in its video at ``MEASURE_RATE``.
        landmarks: (T', 68, 3) at ``FRAME_RATE``, that the video was rendered from, if known.
        ceiling: like ``track``, of a video rendered from the motion wished for.
    """
    seconds = len(case.wav) / SAMPLE_RATE
    frames = round(seconds * MEASURE_RATE)
    gaps = {"video": (aperture(track), MEASURE_RATE)}
    if landmarks is not None:
        gaps["landmarks"] = aperture(landmarks), FRAME_RATE
    gaps["loudness"] = rendered.loudness_track(case.wav, frames), MEASURE_RATE
    if ceiling is not None:
        gaps["ceiling"] = aperture(ceiling), MEASURE_RATE
    result = Score(
        case.name,
        case.speaker,
        float(np.isfinite(track).all((1, 2)).mean()) if len(track) else 0.0,
        rendered.motion(track),
        None if case.true is None else rendered.motion(case.true),
    )
    for name, (gap, rate) in gaps.items():
        if case.true is not None:
            times = np.arange(frames) * rate / MEASURE_RATE
            times = times[times <= len(gap) - 1]
            made = np.interp(times, np.arange(len(gap)), gap) if len(times) else times
            result.correlations[name] = aperture_correlation(made, aperture(case.true))
        if case.phones is not None:
            result.opened[name], result.shut[name] = interpolated_extremes(gap, rate, case.phones)
    return result


def ceiling_track(case: Case, lips_of: Callable | None) -> np.ndarray:
    """What is found again where the warp renderer is given the motion that is wished for.

    For a clip that is the true motion. It tells how much of a measure rendering, detection and
    the frame rate cost, whatever the networks do.

    Args:
        lips_of: (phones, frames, portrait's landmarks) -> landmarks, for cases with phones.

    Returns:
        (T, 68, 3) pixels at ``MEASURE_RATE``.
    """
    from src.face.detection import detect_landmarks
    from src.render.warp.portrait import WarpRenderer

    still = detect_landmarks(case.portrait, "mediapipe", case.name)
    renderer = WarpRenderer(case.portrait, still)
    if case.true is not None:
        from src.data.tracking import clean_landmarks

        track = clean_landmarks(case.true)
        if track is None:
            raise InputError(f"{case.name}: the face is seen in too few frames of the clip")
        wished = still + track - case.portrait_frame
    else:
        frames = int(len(case.wav) / SAMPLE_RATE * MEASURE_RATE)
        wished = lips_of(case.phones, frames, still)
    return rendered.track_faces(renderer.render(points) for points in wished)


def lips_from_phones(root: Path) -> Callable:
    """The function that ``ceiling_track`` needs, from the lip map measured on the clips.

    Raises:
        InputError: the lip map has not been made.
    """
    from src.data.lip_shapes import mouth_motion
    from src.data.reference_faces import load_reference_faces
    from src.face.registration import similarity
    from src.face.topology import LANDMARK_COUNT, RIGID_POINTS

    known = load_reference_faces(root)
    rigid = RIGID_POINTS

    def lips(phones: list, frames: int, still: np.ndarray) -> np.ndarray:
        scale, rotation, _ = similarity(known.standard_face[rigid], still[rigid])
        moved = mouth_motion(phones, frames, MEASURE_RATE) @ known.lip_weights
        return still + scale * (moved.reshape(-1, LANDMARK_COUNT, 3) @ rotation)

    return lips


def pooled_auc(scores: list[Score]) -> dict[str, float]:
    """Open/shut AUC over all sentences together, for each way of moving the lips."""
    names = dict.fromkeys(name for one in scores for name in one.opened)
    return {
        name: open_shut_auc(
            [gap for one in scores for gap in one.opened.get(name, [])],
            [gap for one in scores for gap in one.shut.get(name, [])],
        )
        for name in names
    }


def mean_correlations(scores: list[Score]) -> dict[str, float]:
    """Mean over clips; a clip whose lips do not move at all counts as 0."""
    names = dict.fromkeys(name for one in scores for name in one.correlations)
    return {
        name: float(np.mean(np.nan_to_num([one.correlations[name] for one in scores])))
        for name in names
    }


def pooled_motion(motions: list[rendered.Motion]) -> dict[str, float]:
    """Mean spread of the head within a video, and blinks a minute over all together."""
    seconds = sum(one.seconds for one in motions)
    return {
        "position": float(np.nanmean([one.position for one in motions])),
        "roll": float(np.nanmean([one.roll for one in motions])),
        "blinks_per_minute": 60 * sum(one.blinks for one in motions) / seconds,
    }
