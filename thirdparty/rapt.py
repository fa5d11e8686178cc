"""Adapter round pysptk's RAPT pitch tracker (Talkin 1995), which runs in a process of its own.

RAPT's C code keeps state between calls: in one process the F0 of a recording depends a little on
those analysed before it. A fresh process (about 0.2 s) always gives the same.

Run as a script, this file is that process: samples come in on stdin, log F0 goes out on stdout.
"""

import subprocess
import sys

import numpy as np


def log_f0(
    samples: np.ndarray, sample_rate: int, hop_length: int, lowest: float, highest: float
) -> np.ndarray:
    """Track log F0: samples (N,) of full scale 32768 -> float32 (T,), -1e10 where unvoiced.

    Args:
        samples: of any dtype.
        sample_rate: Hz.
        hop_length: samples between frames.
        lowest: F0 in Hz.
        highest: F0 in Hz.

    Raises:
        ValueError: RAPT refuses the recording, for example as too short.
    """
    numbers = (sample_rate, hop_length, lowest, highest)
    # -P: the modules beside this file are none of the child's; -W: pysptk's imports warn.
    command = [sys.executable, "-P", "-W", "ignore", __file__, *map(repr, numbers)]
    done = subprocess.run(command, input=samples.astype(np.float32).tobytes(), capture_output=True)
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ValueError(f"RAPT failed: {lines[-1] if lines else done.returncode}")
    return np.frombuffer(done.stdout, np.float32).copy()


if __name__ == "__main__":
    from pysptk import sptk

    rate, hop = map(int, sys.argv[1:3])
    low, high = map(float, sys.argv[3:5])
    recording = np.frombuffer(sys.stdin.buffer.read(), np.float32).copy()
    f0 = sptk.rapt(recording, rate, hop, min=low, max=high, otype=2)
    sys.stdout.buffer.write(f0.astype(np.float32).tobytes())
