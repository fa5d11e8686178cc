"""Landmarks and audio of a clip: tracking, cleaning, and alignment with the audio features.

A clip is tracked once at `VIDEO_RATE` and its landmarks are kept as detected; the rest is cheap and
done when dumps are written.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.signal import savgol_filter

from src.data.clips import LEAST_TRACKED, VIDEO_RATE, ClipSource, face_detected
from src.errors import InputError
from src.io.audio import FRAME_RATE, HOP_LENGTH, SAMPLE_RATE, read_audio
from src.io.video import read_frames
from src.models.dimensions import LANDMARK_COUNT
from src.motion.resampling import resample

CROWD_INTERVAL = 25  # frames between two that are searched for faces half as large as the largest
FACE_SCORE = 0.6  # detection score that counts as a face there
SMOOTHING = (5, 2)  # Savitzky-Golay window (frames of VIDEO_RATE) and order, for detector jitter


def track_clip(source: ClipSource, detector: str = "mediapipe") -> dict[str, np.ndarray]:
    """Track the face and decode the audio of a video.

    Args:
        source: the video.
        detector: one of `src.face.detectors.DETECTORS`.

    Returns:
        The arrays of a file in ``<root_dir>/clips``: landmarks (T, 68, 3) float32 in pixels, NaN
        where no face was detected; wav int16, empty without audio; speaker and synced as in the
        source; detector; people, the proportion of examined frames with more than one face;
        unreadable, why the video cannot be read, else empty; offset 0 and offset_correlation NaN,
        until `offsets.measure_synchrony` measures them.

    Raises:
        Unavailable: the detector cannot run, whatever the clip.
    """
    # Training imports this module where no detector and no Pillow are installed.
    from src.face.detection import track_landmarks
    from src.face.detectors.mediapipe import find_boxes

    landmarks, crowded, unreadable = [], [], ""

    def examined() -> Iterator[np.ndarray]:
        for index, frame in enumerate(read_frames(source.path, VIDEO_RATE)):
            if index % CROWD_INTERVAL == 0:
                sides = find_boxes(np.ascontiguousarray(frame), FACE_SCORE)[:, 2]
                crowded.append((sides >= sides.max(initial=0) / 2).sum() > 1)
            yield frame

    try:
        landmarks = list(track_landmarks(examined(), detector))
    except InputError as error:
        unreadable = str(error).removeprefix(f"{source.path}: ")
    try:
        wav = read_audio(source.path)
    except InputError:
        wav = np.zeros(0, np.int16)
    return {
        "landmarks": np.array(landmarks, np.float32).reshape(-1, LANDMARK_COUNT, 3),
        "wav": wav,
        "speaker": np.array(source.speaker),
        "synced": np.array(source.synced and len(wav) > 0),
        "offset": np.array(0.0),
        "offset_correlation": np.array(np.nan),
        "detector": np.array(detector),
        "people": np.array(np.mean(crowded) if crowded else 0.0),
        "unreadable": np.array(unreadable),
    }


def clean_landmarks(landmarks: np.ndarray) -> np.ndarray | None:
    """Fill gaps (NaN) in the landmarks (T, 68, 3) of a clip and smooth the detector's jitter.

    Returns None where the face was detected in too few frames.
    """
    detected = face_detected(landmarks)
    if len(landmarks) < SMOOTHING[0] or detected.mean() < LEAST_TRACKED:
        return None
    frames = np.arange(len(landmarks))
    flat = landmarks.reshape(len(landmarks), -1).astype(np.float64)
    columns = [np.interp(frames, frames[detected], column[detected]) for column in flat.T]
    smooth = savgol_filter(np.stack(columns, 1), *SMOOTHING, axis=0)
    return smooth.reshape(landmarks.shape)


def align(clip: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Cleaned landmarks (T, 68, 3) of a tracked clip at ``FRAME_RATE``, and the matching audio."""
    landmarks = clean_landmarks(clip["landmarks"])
    landmarks, first = resample_to_audio(landmarks, float(clip["offset"]), len(clip["wav"]))
    return landmarks, clip["wav"][first : first + len(landmarks) * HOP_LENGTH]


def resample_to_audio(landmarks: np.ndarray, offset: float, samples: int) -> tuple[np.ndarray, int]:
    """Resample landmarks from ``VIDEO_RATE`` to ``FRAME_RATE``, in sync with the audio.

    Args:
        landmarks: (T, 68, 3).
        offset: seconds by which the video leads the audio.
        samples: length of the audio.

    Returns:
        The landmarks (T', 68, 3) and the first audio sample that belongs to them. Both last as long
        as video and audio overlap.
    """
    skipped_audio, skipped_video = max(0.0, offset), max(0.0, -offset)
    seconds = min(
        len(landmarks) / VIDEO_RATE - skipped_video, samples / SAMPLE_RATE - skipped_audio
    )
    times = np.arange(int(seconds * FRAME_RATE)) / FRAME_RATE + skipped_video
    return resample(landmarks, times * VIDEO_RATE), round(skipped_audio * SAMPLE_RATE)
