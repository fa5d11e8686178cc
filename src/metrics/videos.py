"""Evaluation of whole videos: the face is found again in their frames and measured.

Two kinds of video. A *clip* of a held-out speaker lends a frame as the portrait and its own audio,
and shows how the lips really moved. *Speech* of a held-out synthetic voice comes with the times of
its phones, and moves a portrait that is given.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.animate import Models, animate
from src.command_line import progress
from src.data.lip_shapes import mouth_motion
from src.data.reference_faces import ReferenceFaces, load_reference_faces
from src.data.synthesis import Phones, read_utterance, utterance_paths, voice_of
from src.data.tracking import clean_landmarks
from src.errors import InputError
from src.face.detection import detect_landmarks, track_landmarks
from src.face.registration import similarity
from src.face.topology import LANDMARK_COUNT, RIGID_POINTS
from src.io.audio import FRAME_RATE, SAMPLE_RATE
from src.io.files import read_arrays, write_arrays
from src.io.image import read_image
from src.io.video import read_frames
from src.metrics.aperture import MEASURE_RATE, aperture
from src.metrics.clips import TrackedClip, held_out_clips, is_chosen
from src.metrics.head_motion import image_curves
from src.metrics.open_shut import describe
from src.metrics.registry import TRUTH, Case, measure
from src.metrics.report import Report, rows_of_each
from src.metrics.settings import MAX_SENTENCES
from src.render.renderer import make_renderer

if TYPE_CHECKING:
    from src.metrics.settings import EvaluationSettings
    from src.motion.settings import MotionSettings
    from src.render.settings import RenderSettings

PROJECT = Path(__file__).resolve().parents[2]
SOURCES = ("src/**/*.py", "thirdparty/*.py", "examples/ckpt/**/*")
"""Files that the look of a video depends on, besides its inputs."""

PORTRAIT = PROJECT / "examples" / "grace_hopper.jpg"
"""Its lips are closed, so that a gap found in a p, b or m is the animation's."""

MIN_RMS = 10.0  # of int16 samples, below which audio counts as silence


@dataclass(frozen=True)
class VideoCase:
    """A portrait and a recording, and what is known of how the lips should move."""

    name: str
    portrait: np.ndarray  # (H, W, 3) uint8 BGR
    wav: np.ndarray  # int16 at SAMPLE_RATE
    reference: np.ndarray | None = None  # (T, 68, 3) pixels of the clip at MEASURE_RATE
    portrait_landmarks: np.ndarray | None = None  # (68, 3) of the clip's frame
    phones: Phones | None = None


def clip_cases(settings: EvaluationSettings) -> Iterator[VideoCase]:
    """The synchronised clips of `held_out_clips`, each animating a frame of its own."""
    for clip in held_out_clips(settings, lambda known: known["synced"]):
        (image, still), (reference, wav) = clip.portrait(), synchronised(clip)
        yield VideoCase(clip.name, image, wav, reference, still)


def synchronised(clip: TrackedClip) -> tuple[np.ndarray, np.ndarray]:
    """The landmarks and the samples of a clip that belong together, of equal duration."""
    lead = round(clip.offset * MEASURE_RATE)
    hop = round(SAMPLE_RATE / MEASURE_RATE)
    landmarks, wav = clip.landmarks[max(0, -lead) :], clip.wav[max(0, lead) * hop :]
    frames = min(len(landmarks), len(wav) // hop)
    return landmarks[:frames], wav[: frames * hop]


def speech_cases(settings: EvaluationSettings) -> Iterator[VideoCase]:
    """Sentences of the synthetic voices in the settings, else of ROOT's split test.

    Raises:
        InputError: a named voice has no sentence.
    """
    chosen, counts = is_chosen(settings.root, settings.voices), Counter()
    for path in utterance_paths(settings.root):
        voice = voice_of(path)
        counts[voice] += 1
        if chosen(voice) and counts[voice] <= MAX_SENTENCES:
            speech = read_utterance(path)
            yield VideoCase(path.stem, read_image(PORTRAIT), speech.wav, phones=speech.phones)
    if missing := sorted(set(settings.voices or ()) - set(counts)):
        raise InputError(f"{settings.root / 'synthetic'}: no speech of {' '.join(missing)}")


def evaluate_videos(
    settings: EvaluationSettings,
    models: Models,
    motion: MotionSettings,
    render: RenderSettings,
    folder: Path,
    checkpoints: list[Path],
    report: Report,
) -> None:
    """Render and evaluate the videos of held-out speakers and voices.

    Args:
        folder: gets the videos. Those in it are used again if they were rendered from the same.
        checkpoints: in place of the default weights.

    Raises:
        InputError: there is nothing to evaluate, or an input is missing or cannot be used.
    """
    render = replace(render, fps=MEASURE_RATE)
    digest = digest_of([motion, render, str(models.device)], checkpoints)
    cases = [*clip_cases(settings), *speech_cases(settings)]
    if not cases:
        raise InputError(f"{settings.root}: no clips or voices to evaluate; see --speakers")
    faces = load_reference_faces(settings.root) if settings.ceiling else None
    lips, heads = {}, {}
    for case in progress(cases, len(cases), "videos to evaluate"):
        video, kept = folder / f"{case.name}.mp4", folder / f"{case.name}.npz"
        inputs = digest.encode() + case.portrait.tobytes() + case.wav.tobytes()
        stamp = hashlib.sha256(inputs).hexdigest()
        arrays = read_arrays(kept) if video.is_file() and kept.is_file() else {}
        if str(arrays.get("stamp")) != stamp:
            kept.unlink(missing_ok=True)
            audio = (case.wav, SAMPLE_RATE)
            animate(case.portrait, audio, models, motion, render, intermediates=arrays).write(video)
            write_arrays(kept, stamp=np.array(stamp), landmarks_final=arrays["landmarks_final"])
        found = np.array([*track_landmarks(read_frames(video, MEASURE_RATE))])
        tracks = {"video": found, "landmarks": arrays["landmarks_final"]}
        if settings.ceiling:
            tracks["ceiling"] = ceiling_landmarks(case, faces)
        lips[case.name], heads[case.name] = evaluate_case(case, tracks)
    report.figures["settings"] = {**vars(motion), **vars(render)}
    add_tables(report, lips, heads)


def add_tables(report: Report, lips: dict[str, Case], heads: dict[str, Case]) -> None:
    """Add the metrics of all cases, by name."""
    title = f"Lips, {describe([case['video'] for case in lips.values()])}"
    report.add_cases("lips", title, lips, "gap", "phones")
    report.add_cases("heads", "Head and eyes, as found in the videos", heads, "video", "video head")
    clips = {name: case for name, case in lips.items() if "correlation" in case["video"]}
    report.add_table("Lips of each clip", rows_of_each(clips), "gap")


def digest_of(settings: list[Any], checkpoints: list[Path]) -> str:
    """SHA-256 of settings, checkpoints, default weights and code."""
    digest = hashlib.sha256(repr(settings).encode())
    files = [path for pattern in SOURCES for path in sorted(PROJECT.glob(pattern))]
    for path in (*files, *checkpoints):
        if path.is_file():
            digest.update(str(path).encode() + path.read_bytes())
    return digest.hexdigest()


def evaluate_case(case: VideoCase, tracks: dict[str, np.ndarray]) -> tuple[Case, Case]:
    """The metrics of the lips, by source of the gap, and those of head and eyes.

    Args:
        tracks: landmarks (T, 68, 3). "video": found in its frames, at `MEASURE_RATE`;
            "landmarks": from which they were rendered, at `FRAME_RATE`; "ceiling": found in a video
            rendered from the ground truth's motion.
    """
    gaps = {source: aperture(track) for source, track in tracks.items()}
    gaps["loudness"] = loudness_curve(case.wav)
    lips = {source: {} for source in gaps}
    heads = {"clips" if case.phones is None else "speech": tracks["video"], TRUTH: case.reference}
    for source, gap in gaps.items():
        rate = FRAME_RATE if source == "landmarks" else MEASURE_RATE
        if case.reference is not None:
            lips[source] |= measure("gap", gap, rate, aperture(case.reference))
        if case.phones is not None:
            lips[source] |= measure("phones", gap, rate, case.phones)
    return lips, {
        label: measure("video", track) | measure("video head", image_curves(track))
        for label, track in heads.items()
        if track is not None
    }


def loudness_curve(wav: np.ndarray) -> np.ndarray:
    """Log RMS (T,) of int16 audio around each frame's time: a gap without any network."""
    hop = round(SAMPLE_RATE / MEASURE_RATE)
    power = np.pad(np.square(wav, dtype=np.float64), (hop // 2, 0), mode="symmetric")
    mean = power[: len(power) // hop * hop].reshape(-1, hop).mean(1)
    return np.log10(np.maximum(np.sqrt(mean), MIN_RMS))


def ceiling_landmarks(case: VideoCase, faces: ReferenceFaces | None) -> np.ndarray:
    """Landmarks (T, 68, 3) found in frames warped by the ground truth's motion.

    They show how much of a metric rendering, detection and the frame rate cost. Without a ground
    truth, lip motion is written from the phones.

    Raises:
        InputError: the portrait has no face, or the clip shows it in too few frames.
    """
    still = detect_landmarks(case.portrait, "mediapipe", case.name)
    if case.reference is not None:
        track = clean_landmarks(case.reference)
        if track is None:
            raise InputError(f"{case.name}: a face is found in too few frames of the clip")
        wanted = still + track - case.portrait_landmarks
    else:
        frames = int(len(case.wav) / SAMPLE_RATE * MEASURE_RATE)
        displacement = mouth_motion(case.phones, frames, MEASURE_RATE) @ faces.lip_weights
        scale, rotation, _ = similarity(faces.standard_face[RIGID_POINTS], still[RIGID_POINTS])
        wanted = still + scale * (displacement.reshape(-1, LANDMARK_COUNT, 3) @ rotation)
    frames = make_renderer("warp", case.portrait, still).frames(wanted)
    return np.array([*track_landmarks(frames)])
