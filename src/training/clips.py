"""Videos of one talking face become landmarks and sound in step.

A clip is tracked once at ``VIDEO_RATE`` and kept as found; cleaning, registration and resampling
to the rate of the audio features are cheap and done when dumps are made.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.audio import ffmpeg_path, read_audio
from src.errors import InputError
from src.landmarks.detect import track_landmarks
from src.training.dumps import save_npz

VIDEO_RATE = 25.0  # frames a second of the tracked clips (the paper's data)
LONGEST_SIDE = 640  # pixels; larger frames only cost time
LEAST_TRACKED = 0.8  # share of frames with a face, below which a clip is refused
SMOOTHING = (5, 2)  # Savitzky-Golay window (frames of VIDEO_RATE) and order: detector jitter


@dataclass(frozen=True)
class ClipSource:
    """A video and what is known of it."""

    path: Path
    speaker: str
    offset: float = 0.0  # seconds that the picture leads the sound
    synced: bool = True  # lips and sound belong together


def find_clips(folder: Path) -> list[ClipSource]:
    """Clips of a folder: those of its ``manifest.csv``, else every video, one speaker a folder.

    The manifest's columns are file, speaker, speech_synced (0 or 1) and av_offset_frames25.
    """
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        suffixes = {".mp4", ".mov", ".mpg", ".avi", ".mkv", ".webm"}
        files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in suffixes)
        return [ClipSource(path, path.parent.name) for path in files]
    with manifest.open(newline="") as file:
        return [
            ClipSource(
                folder / row["file"],
                row["speaker"],
                float(row["av_offset_frames25"] or 0) / VIDEO_RATE,
                row["speech_synced"] == "1",
            )
            for row in csv.DictReader(file)
        ]


def read_frames(path: Path, rate: float = VIDEO_RATE) -> Iterator[np.ndarray]:
    """Decode a video to uint8 BGR frames (H, W, 3) at a constant rate, one at a time."""
    import cv2
    import ffmpeg

    capture = cv2.VideoCapture(str(path))
    width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    capture.release()
    if width <= 0 or height <= 0:
        raise InputError(f"{path}: not a video that can be read")
    scale = min(1.0, LONGEST_SIDE / max(width, height))
    width, height = round(width * scale), round(height * scale)
    process = (
        ffmpeg.input(f"file:{path}")
        .video.filter("fps", rate)
        .filter("scale", width, height)
        .output("pipe:", format="rawvideo", pix_fmt="bgr24")
        .global_args("-nostdin", "-loglevel", "error")
        .run_async(cmd=ffmpeg_path(), pipe_stdout=True)
    )
    try:
        while len(data := process.stdout.read(width * height * 3)) == width * height * 3:
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
    finally:
        process.stdout.close()
        process.kill()
        process.wait()


def track_clip(source: ClipSource, target: Path) -> str:
    """Track the face and decode the sound of a clip into an ``.npz``; returns a line about it.

    The file holds landmarks (T, 68, 3) float32 in pixels at ``VIDEO_RATE``, NaN where no face was
    seen; wav int16, empty where there is no sound; speaker; synced; offset.
    """
    track = [
        np.full((68, 3), np.nan) if points is None else points
        for points in track_landmarks(read_frames(source.path))
    ]
    try:
        wav = read_audio(source.path)
    except InputError:
        wav = np.zeros(0, np.int16)
    seen = np.mean([np.isfinite(points).all() for points in track]) if track else 0.0
    save_npz(
        target,
        landmarks=np.array(track, np.float32).reshape(-1, 68, 3),
        wav=wav,
        speaker=np.array(source.speaker),
        synced=np.array(source.synced and len(wav) > 0),
        offset=np.array(source.offset),
    )
    return f"{source.path.name}: {len(track)} frames, face in {seen:.0%}, {len(wav)} samples"
