"""Where the ffmpeg program is, and what its calls have in common."""

import functools
import shutil

QUIET = ("-nostdin", "-hide_banner", "-loglevel", "error")
"""Options before all others: errors only, and standard input is left alone."""


@functools.cache
def ffmpeg_path() -> str:
    """Find the ffmpeg program: the system's, else the one inside ``imageio-ffmpeg``."""
    system = shutil.which("ffmpeg")
    if system:
        return system
    import imageio_ffmpeg

    return imageio_ffmpeg.get_ffmpeg_exe()


def last_line(stderr: bytes) -> str:
    """Last line of ffmpeg's messages, which names the cause of a failure."""
    return stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
