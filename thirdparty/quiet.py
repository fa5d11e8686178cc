"""Silence for C libraries that write to the terminal on their own."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

_stderr_lock = threading.Lock()


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send file descriptor 2 nowhere for a moment.

    C and C++ libraries (MediaPipe's graphs, the image decoders of OpenCV) log straight to the
    descriptor, past Python's logging and past sys.stderr.
    """
    with _stderr_lock:
        sys.stderr.flush()
        kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)
