"""Adapter round pysptk's RAPT pitch tracker (Talkin 1995), which runs in a process of its own.

RAPT's C code keeps state between calls: in one process a sound's F0 depends a little on the sounds
analysed before it. A fresh process (about 0.2 s) always gives the same.

Run as a script, this file is that process: samples come in on stdin, log F0 goes out on stdout.
"""

import subprocess
import sys

import numpy as np


def log_f0(
    samples: np.ndarray, sample_rate: int, hop_length: int, lowest: float, highest: float
) -> np.ndarray:
    """Log F0 of a sound.

    Args:
        samples: float32 (N,), full scale 32768.
        sample_rate: Hz.
        hop_length: samples between frames.
        lowest: Hz.
        highest: Hz.

    Returns:
        float32 (T,), -1e10 where there is no voice.

    Raises:
        ValueError: RAPT refuses the sound, for example as too short.
    """
    numbers = (sample_rate, hop_length, lowest, highest)
    # -P: the modules beside this file are none of the child's; -W: pysptk's imports are chatty.
    command = [sys.executable, "-P", "-W", "ignore", __file__, *map(repr, numbers)]
    sound = np.ascontiguousarray(samples, np.float32)
    done = subprocess.run(command, input=sound.data.cast("B"), capture_output=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ValueError(f"RAPT failed: {lines[-1] if lines else done.returncode}")
    return np.frombuffer(done.stdout, np.float32).copy()


def _analyse() -> None:
    from pysptk import sptk

    sample_rate, hop_length = map(int, sys.argv[1:3])
    lowest, highest = map(float, sys.argv[3:5])
    samples = np.frombuffer(sys.stdin.buffer.read(), np.float32).copy()
    f0 = sptk.rapt(samples, sample_rate, hop_length, min=lowest, max=highest, otype=2)
    sys.stdout.buffer.write(f0.astype(np.float32).tobytes())


if __name__ == "__main__":
    _analyse()
