"""Writing and reading of videos with ffmpeg, frame by frame."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from src.errors import InputError
from src.io.files import atomic_write
from src.io.find_ffmpeg import QUIET, ffmpeg_path, last_line

LARGEST_SIDE = 640  # pixels of frames that are read

COMMENT = "synthetic video made with the MakeItTalk reference implementation"
"""In the metadata of every video, so that none is mistaken for a recording."""

ENCODING = (
    *("-vcodec", "libx264", "-crf", "18", "-pix_fmt", "yuv420p"),  # visually lossless
    *("-preset", "veryfast"),  # rendering and encoding share the same few cores
    *("-acodec", "aac", "-b:a", "160k", "-movflags", "+faststart", "-f", "mp4"),
)

# Without the tags, players guess the colour space from the frame size.
COLOURS = (
    "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,"
    "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709"
)


def write_video(
    path: str | Path,
    frames: Iterable[np.ndarray],
    fps: float,
    audio_path: str | Path,
    *,
    least_seconds: float = 0.0,
) -> int:
    """Encode frames as H.264 (yuv420p) with the audio of a file as AAC, faststart, atomically.

    Frames are encoded while the next ones are rendered.

    Args:
        path: of the video, ending in .mp4; missing folders are created.
        frames: uint8 BGR (H, W, 3), all of one size; odd sizes repeat their last row or column.
        fps: frames per second.
        audio_path: any file in which ffmpeg finds audio.
        least_seconds: shorter audio is padded with silence to this length.

    Returns:
        The number of frames written.

    Raises:
        InputError: the video cannot be written there, or ffmpeg cannot read the audio.
        ValueError: no frames, or frames of different sizes.
    """
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise ValueError("a video needs at least one frame")
    height, width = even_size(first).shape[:2]
    # An audio stream may begin later than its file; the features begin with the audio.
    padding = f",apad=whole_dur={least_seconds}" if least_seconds > 0 else ""
    filters = f"[0:v]{COLOURS}[video];[1:a]asetpts=PTS-STARTPTS{padding}[audio]"
    command = [ffmpeg_path(), *QUIET, "-y", "-f", "rawvideo", "-pix_fmt", "bgr24"]
    command += ["-s", f"{width}x{height}", "-framerate", str(fps), "-i", "pipe:"]
    command += ["-i", f"file:{audio_path}", "-filter_complex", filters]
    command += ["-map", "[video]", "-map", "[audio]", *ENCODING]
    command += ["-map_metadata", "-1", "-metadata", f"comment={COMMENT}"]
    count = 0
    # ffmpeg's messages go to a file, because a full pipe would block it.
    with atomic_write(path) as partial, tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(
            [*command, f"file:{partial}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=messages,
            # Ctrl-C on the terminal reaches this program only, which then stops ffmpeg.
            start_new_session=True,
        )
        try:
            with contextlib.suppress(BrokenPipeError):  # ffmpeg ended; the reason follows below
                for frame in itertools.chain([first], frames):
                    if frame.shape != first.shape:
                        raise ValueError(f"a frame of {frame.shape} among frames of {first.shape}")
                    process.stdin.write(np.ascontiguousarray(even_size(frame)).data)
                    count += 1
                process.stdin.close()
            if process.wait() != 0:
                messages.seek(0)
                reason = last_line(messages.read())
                raise InputError(f"{path}: the video cannot be written: {reason}")
        finally:
            process.kill()
            with contextlib.suppress(OSError):
                process.stdin.close()
            process.wait()
    return count


def read_frames(path: Path, rate: float) -> Iterator[np.ndarray]:
    """Decode a video to uint8 BGR frames (H, W, 3), one at a time.

    Frames larger than `LARGEST_SIDE` are scaled down.

    Args:
        path: any video that ffmpeg reads.
        rate: frames per second of the result, whatever the video's.

    Raises:
        InputError: not a video.
    """
    import cv2

    from thirdparty.quiet import quiet_stderr

    with quiet_stderr():
        capture = cv2.VideoCapture(str(path))
    width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    capture.release()
    if width <= 0 or height <= 0:
        raise InputError(f"{path}: not a video that can be read")
    scale = min(1.0, LARGEST_SIDE / max(width, height))
    width, height = round(width * scale), round(height * scale)
    filters = f"[0:v]fps={rate},scale={width}:{height}[frames]"
    command = [ffmpeg_path(), *QUIET, "-loglevel", "fatal", "-i", f"file:{path}"]
    command += ["-filter_complex", filters, "-map", "[frames]"]
    command += ["-f", "rawvideo", "-pix_fmt", "bgr24", "pipe:"]
    # In a session of its own: on Ctrl-C ffmpeg would end the video here as if it were complete.
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            while len(data := process.stdout.read(width * height * 3)) == width * height * 3:
                yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
        finally:
            process.kill()  # before its pipe is closed, or it would log an error


def even_size(frame: np.ndarray) -> np.ndarray:
    """Repeat the last row or column of a frame (H, W, C) where a side is odd (for yuv420p)."""
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
