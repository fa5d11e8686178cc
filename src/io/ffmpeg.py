"""The ffmpeg program."""

import functools
import shutil


@functools.cache
def ffmpeg_path() -> str:
    """Find the ffmpeg program: the system's, else the one inside ``imageio-ffmpeg``.

    Raises:
        RuntimeError: neither exists.
    """
    system = shutil.which("ffmpeg")
    if system:
        return system
    import imageio_ffmpeg

    return imageio_ffmpeg.get_ffmpeg_exe()


def last_line(stderr: bytes) -> str:
    """Last line of ffmpeg's messages, which names the cause of a failure."""
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "ffmpeg gives no reason"
