"""Videos of cases, rendered by main_end2end.py in processes of their own and kept for next time."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import wave
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from src.command_line import progress
from src.errors import InputError
from src.io.audio import SAMPLE_RATE
from src.metrics import cases as judged
from src.metrics import rendered
from src.metrics.aperture import MEASURE_RATE
from src.metrics.cases import Case, Score

HERE = Path(__file__).resolve().parents[2]
COMMAND = HERE / "main_end2end.py"
# What the look of a video depends on, besides its inputs.
SOURCES = ("main_end2end.py", "src/**/*.py")
SOURCES += ("thirdparty/*.py", "examples/ckpt/**/*")


def scores_of(
    cases: list[Case],
    folder: Path,
    handed_on: list[str],
    fresh: bool,
    jobs: int,
    ceiling: bool,
    lips: Callable | None,
) -> Iterator[Score]:
    """Render cases, several at a time, and judge each.

    Args:
        folder: gets the videos.
        handed_on: options for main_end2end.py.
        fresh: render again what is there already.
        jobs: videos at a time.
        ceiling: judge the renderer with the true motion as well.
        lips: what `cases.ceiling_track` needs for cases with phones.

    Raises:
        InputError: main_end2end.py refused, with what it said.
    """
    common, children = fingerprint(handed_on), Children()
    with ThreadPoolExecutor(jobs) as pool:
        futures = [
            pool.submit(render, case, folder, handed_on, common, fresh, jobs, children)
            for case in cases
        ]
        try:
            pairs = zip(cases, futures, strict=True)
            for case, future in progress(pairs, len(cases), "videos to judge"):
                video, landmarks = future.result()
                best = judged.ceiling_track(case, lips) if ceiling else None
                yield judged.score(case, rendered.redetect(video), landmarks, best)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            children.stop()


def fingerprint(handed_on: list[str]) -> str:
    """Hash of the options, of the files that they name, and of the default weights and code."""
    known = hashlib.sha256(json.dumps(handed_on).encode())
    files = [path for pattern in SOURCES for path in sorted(HERE.glob(pattern))]
    files += [Path(word.split("=")[-1]) for word in handed_on]
    for path in files:
        if path.is_file():
            known.update(str(path).encode())
            with path.open("rb") as file:
                known.update(hashlib.file_digest(file, "sha256").digest())
    return known.hexdigest()


def render(
    case: Case,
    folder: Path,
    handed_on: list[str],
    common: str,
    fresh: bool,
    jobs: int,
    children: Children,
) -> tuple[Path, np.ndarray | None]:
    """Render a case with main_end2end.py, unless that is done already.

    Returns:
        The video and the landmarks (T, 68, 3) at the audio's rate that it was made from.

    Raises:
        InputError: main_end2end.py refused, with what it said.
    """
    folder.mkdir(parents=True, exist_ok=True)
    picture, sound, video, arrays, note = (
        (folder / f"{case.name}{suffix}").absolute()
        for suffix in (".png", ".wav", ".mp4", ".npz", ".txt")
    )
    inputs = hashlib.sha256(common.encode() + case.portrait.tobytes() + case.wav.tobytes())
    wanted = inputs.hexdigest()
    done = note.is_file() and note.read_text() == wanted and video.is_file()
    if fresh or not done:
        note.unlink(missing_ok=True)
        cv2.imwrite(str(picture), case.portrait)
        write_wav(sound, case.wav)
        command = [sys.executable, "-W", "ignore", str(COMMAND)]
        command += ["--jpg", str(picture), "--wav", str(sound), "--out", str(video)]
        command += ["--fps", f"{MEASURE_RATE:g}", "--save_intermediates", str(arrays)]
        # Several at once would fight for the cores.
        environment = os.environ | ({"OMP_NUM_THREADS": "1"} if jobs > 1 else {})
        code, problems = children.run(command + handed_on, environment)
        if code:
            said = problems.strip().splitlines() or ["it said nothing"]
            raise InputError(f"main_end2end.py failed on {case.name}: {said[-1]}")
        note.write_text(wanted)
    landmarks = None
    if arrays.is_file():
        with np.load(arrays) as known:
            landmarks = known.get("landmarks_final")
    return video, landmarks


class Children:
    """The processes that run, so that a stop of this one ends them too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen] = set()
        self._stopped = False

    def run(self, command: list[str], environment: dict[str, str]) -> tuple[int, str]:
        """Run a command to its end; its exit code and what it wrote to stderr.

        Raises:
            InputError: ``stop`` has been called.
        """
        with self._lock:
            if self._stopped:
                raise InputError("stopped")
            # In a session of its own: a Ctrl-C reaches it once, through stop().
            child = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._running.add(child)
        try:
            _, problems = child.communicate()
        finally:
            with self._lock:
                self._running.discard(child)
        return child.returncode, problems

    def stop(self) -> None:
        """Ask what runs to end, and start nothing more."""
        with self._lock:
            self._stopped = True
            for child in self._running:
                child.terminate()


def write_wav(path: Path, samples: np.ndarray) -> None:
    """Write int16 mono samples at 16 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())
