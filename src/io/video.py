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
from src.io.ffmpeg import ffmpeg_path, last_line
from src.io.files import atomic_write

COMMENT = "synthetic video made with the MakeItTalk reference implementation"
"""In the metadata of every video, so that none is mistaken for a recording."""

CRF = 18  # x264's constant quality, visually lossless
PRESET = "veryfast"  # rendering and encoding share the same few cores
AUDIO_BITRATE = "160k"


def write_video(
    path: str | Path,
    frames: Iterable[np.ndarray],
    fps: float,
    audio_path: str | Path,
    *,
    least_seconds: float = 0.0,
    comment: str = COMMENT,
) -> int:
    """Encode frames as H.264 (yuv420p) with the audio of a file as AAC, faststart, atomically.

    Frames are encoded while the next ones are rendered.

    Args:
        path: of the video, ending in .mp4; missing folders are created.
        frames: uint8 BGR (H, W, 3), all of one size; odd sizes repeat their last row or column.
        fps: frames per second.
        audio_path: any file in which ffmpeg finds audio.
        least_seconds: shorter audio is padded with silence to this length.
        comment: for the metadata.

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
    count = 0
    with atomic_write(path) as partial, tempfile.TemporaryFile() as messages:
        command = _command(partial, width, height, fps, audio_path, least_seconds, comment)
        with _running(command, messages) as process:
            try:
                for frame in itertools.chain([first], frames):
                    if frame.shape != first.shape:
                        raise ValueError(f"a frame of {frame.shape} among frames of {first.shape}")
                    process.stdin.write(np.ascontiguousarray(even_size(frame)).data)
                    count += 1
                process.stdin.close()
            except BrokenPipeError:  # ffmpeg ended; the reason follows below
                process.wait()
            if process.wait() != 0:
                messages.seek(0)
                reason = last_line(messages.read())
                raise InputError(f"{path}: the video cannot be written: {reason}")
    return count


def read_frames(path: Path, rate: float, largest_side: int = 640) -> Iterator[np.ndarray]:
    """Decode a video to uint8 BGR frames (H, W, 3) at a constant rate, one at a time.

    Args:
        path: any video that ffmpeg reads.
        rate: frames per second of the result.
        largest_side: pixels; larger frames are scaled down.

    Raises:
        InputError: not a video.
    """
    import cv2
    import ffmpeg

    from thirdparty.quiet import quiet_stderr

    with quiet_stderr():
        capture = cv2.VideoCapture(str(path))
    width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    capture.release()
    if width <= 0 or height <= 0:
        raise InputError(f"{path}: not a video that can be read")
    scale = min(1.0, largest_side / max(width, height))
    width, height = round(width * scale), round(height * scale)
    process = (
        ffmpeg.input(f"file:{path}")
        .video.filter("fps", rate)
        .filter("scale", width, height)
        .output("pipe:", format="rawvideo", pix_fmt="bgr24")
        .global_args("-nostdin", "-loglevel", "fatal")
        .run_async(cmd=ffmpeg_path(), pipe_stdout=True)
    )
    try:
        while len(data := process.stdout.read(width * height * 3)) == width * height * 3:
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
    finally:
        process.kill()  # before its pipe is closed, or it would log an error
        process.stdout.close()
        process.wait()


def even_size(frame: np.ndarray) -> np.ndarray:
    """Repeat the last row or column of a frame (H, W, C) where a side is odd (for yuv420p)."""
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _command(
    partial: Path,
    width: int,
    height: int,
    fps: float,
    audio_path: str | Path,
    least_seconds: float,
    comment: str,
) -> list[str]:
    """ffmpeg's command line, a list so that no shell interprets file names."""
    import ffmpeg

    video = ffmpeg.input(
        "pipe:", format="rawvideo", pix_fmt="bgr24", s=f"{width}x{height}", framerate=fps
    )
    video = video.filter("scale", out_color_matrix="bt709", out_range="tv")
    # Without these tags, players guess the colour space from the frame size.
    colours = {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709"}
    video = video.filter("format", "yuv420p").filter("setparams", **colours)
    # An audio stream may begin later than its file; the features begin with the audio.
    audio = ffmpeg.input(f"file:{audio_path}").audio.filter("asetpts", "PTS-STARTPTS")
    if least_seconds > 0:
        audio = audio.filter("apad", whole_dur=least_seconds)
    output = ffmpeg.output(
        video,
        audio,
        f"file:{partial}",
        format="mp4",
        vcodec="libx264",
        preset=PRESET,
        crf=CRF,
        pix_fmt="yuv420p",
        acodec="aac",
        audio_bitrate=AUDIO_BITRATE,
        map_metadata=-1,
        metadata=f"comment={comment}",
        movflags="+faststart",
    ).global_args("-nostdin", "-hide_banner", "-loglevel", "error")
    return ffmpeg.compile(output, cmd=ffmpeg_path(), overwrite_output=True)


@contextlib.contextmanager
def _running(command: list[str], messages) -> Iterator[subprocess.Popen]:
    """Run a process that ends with the block; stderr goes to a file, so it cannot block."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=messages,
        # Ctrl-C on the terminal reaches this program only, which then stops ffmpeg.
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.wait()
