"""Frames and a voice become an .mp4 file, by way of ffmpeg and never all in memory."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from src.errors import InputError
from src.io.audio import ffmpeg_path
from src.io.files import atomic_write

COMMENT = "synthetic video made with the MakeItTalk reference implementation"
"""Stands in the metadata of every video, so that nobody need mistake one for a recording."""

CRF = 18  # x264's constant quality: no loss that one sees
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
    """Encode frames as they come: H.264 (yuv420p) with the sound of a file as AAC, faststart.

    ffmpeg encodes one frame while the next is made. The video is written beside its place and
    renamed when it is whole; whatever stops that (an error, Ctrl-C) leaves no file behind.

    Args:
        path: of the video, ending in .mp4; a missing folder is made.
        frames: uint8 BGR (H, W, 3), all of one size; odd sizes get their last row or column twice.
        fps: frames a second.
        audio_path: any file that ffmpeg finds sound in.
        least_seconds: shorter sound goes on in silence up to here.
        comment: for the metadata.

    Returns:
        The number of frames written.

    Raises:
        InputError: the video cannot be written there, or ffmpeg cannot read the sound.
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
            except BrokenPipeError:  # ffmpeg gave up, and says why below
                process.wait()
            if process.wait() != 0:
                raise InputError(f"{path}: the video cannot be written: {_last_line(messages)}")
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
        process.kill()  # before its pipe is closed, of which it would complain
        process.stdout.close()
        process.wait()


def even_size(frame: np.ndarray) -> np.ndarray:
    """A frame (H, W, C) with its last row or column repeated where a side is odd (yuv420p)."""
    height, width = frame.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return frame
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
    """ffmpeg's command line as a list: no shell ever sees a file name."""
    import ffmpeg

    pictures = ffmpeg.input(
        "pipe:", format="rawvideo", pix_fmt="bgr24", s=f"{width}x{height}", framerate=fps
    )
    pictures = pictures.filter("scale", out_color_matrix="bt709", out_range="tv")
    # Players guess where nothing is said, and guess by the size of the picture.
    colours = {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709"}
    pictures = pictures.filter("format", "yuv420p").filter("setparams", **colours)
    # A sound stream may begin later than its file does; the features start with the sound.
    sound = ffmpeg.input(f"file:{audio_path}").audio.filter("asetpts", "PTS-STARTPTS")
    if least_seconds > 0:
        sound = sound.filter("apad", whole_dur=least_seconds)
    output = ffmpeg.output(
        pictures,
        sound,
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
    """A process that never outlives the block; its stderr goes to a file, so it cannot block."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=messages,
        # A Ctrl-C on the terminal is for this program, which then stops ffmpeg.
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


def _last_line(messages) -> str:
    messages.seek(0)
    lines = messages.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "ffmpeg says nothing"
