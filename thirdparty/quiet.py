"""Suppression of messages that C libraries write directly to stderr."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

_stderr_lock = threading.Lock()


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Redirect file descriptor 2 to the null device.

    C and C++ libraries (MediaPipe's graphs, OpenCV's decoders) log directly to the descriptor,
    bypassing Python's logging and sys.stderr.
    """
    with _stderr_lock:
        sys.stderr.flush()
        kept = os.dup(2)
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(null)
