"""Time the whole command, stage by stage, and its peak of memory.

    python benchmarks/bench_end2end.py                     # 5 s of speech
    python benchmarks/bench_end2end.py --seconds 600
    python benchmarks/bench_end2end.py --cartoon --jpg leo --seconds 600
    python benchmarks/bench_end2end.py -- --renderer unet  # what follows -- goes to the command

A new process runs main_end2end.py (main_end2end_cartoon.py) on the bundled portrait (a puppet) and
the bundled voices, repeated or cut to the length asked for. Memory is that of this process and of
ffmpeg together, looked at five times a second.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
import wave
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from src.io.audio import SAMPLE_RATE, read_audio  # noqa: E402  (the folder is not a package)

# How the lines of the command begin, and which stage has ended when the line appears.
STAGES = (
    ("detecting the face", "start, imports, decoding the recording"),
    ("weights of the motion", "face detection (reading the puppet)"),
    ("extracting speech", "loading weights"),
    ("predicting landmarks", "audio to features"),
    ("rendering frames", "features to landmarks"),
    ("wrote", "rendering and encoding frames"),
)
LOOKS_A_SECOND = 5


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of speech (%(default)s)")
    parser.add_argument("--cartoon", action="store_true", help="time main_end2end_cartoon.py")
    parser.add_argument("--jpg", help="portrait (astronaut.jpg), puppet (maestro)")
    parser.add_argument("options", nargs="*", help="for the command, after --")
    return parser.parse_args()


def write_voice(path: Path, seconds: float) -> None:
    """The bundled voices one after the other, over and over, cut to a length."""
    samples = np.concatenate([read_audio(p) for p in sorted((ROOT / "examples").glob("*.wav"))])
    samples = np.resize(samples, round(seconds * SAMPLE_RATE))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and its children now (Linux)."""
    total = 0
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for process in (str(pid), *children):
            for line in Path(f"/proc/{process}/status").read_text().splitlines():
                if line.startswith("VmRSS"):
                    total += int(line.split()[1]) * 1024
    except FileNotFoundError:  # it has ended meanwhile
        pass
    return total


def watch(process: subprocess.Popen, peak: list[int]) -> None:
    while process.poll() is None:
        peak[0] = max(peak[0], resident_bytes(process.pid))
        time.sleep(1 / LOOKS_A_SECOND)


def main() -> int:
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        voice, video = Path(folder) / "voice.wav", Path(folder) / "video.mp4"
        write_voice(voice, options.seconds)
        script = "main_end2end_cartoon.py" if options.cartoon else "main_end2end.py"
        portrait = options.jpg or ("maestro" if options.cartoon else "astronaut.jpg")
        command = [sys.executable, str(ROOT / script), "--jpg", portrait]
        command += ["--wav", str(voice), "--out", str(video), *options.options]
        began = before = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        peak = [0]
        watcher = threading.Thread(target=watch, args=(process, peak))
        watcher.start()
        for line in process.stdout:
            now = time.monotonic()
            for start, stage in STAGES:
                if line.startswith(start):
                    print(f"{stage:36} {now - before:8.1f} s")
                    before = now
        code = process.wait()
        watcher.join()
        print(f"{'all':36} {time.monotonic() - began:8.1f} s")
        print(f"{'peak of memory':36} {peak[0] / 1e9:8.2f} GB")
        if code == 0:
            print(f"{'video':36} {what_is_in(video)}")
    return code


def what_is_in(path: Path) -> str:
    """Frames and sound of a video."""
    video = cv2.VideoCapture(str(path))
    frames, rate = video.get(cv2.CAP_PROP_FRAME_COUNT), video.get(cv2.CAP_PROP_FPS)
    sound = len(read_audio(path)) / SAMPLE_RATE
    return f"{frames:.0f} frames, {frames / rate:.2f} s; sound, {sound:.2f} s"


if __name__ == "__main__":
    sys.exit(main())
