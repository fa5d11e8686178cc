"""Judge finished videos: lips against a true clip and against phone times, head and eyes.

    python main_evaluate.py --root_dir ROOT --videos DIR [DIR ...]
    python main_evaluate.py --root_dir ROOT --speakers --voices slt --portrait FACE.jpg
    python main_evaluate.py --root_dir ROOT --videos DIR --amp_lip_y 1.5 --renderer warp --json FILE

ROOT is what main_prepare_data.py has filled; DIR holds the videos that were tracked. Everything is
rendered by main_end2end.py at 25 frames a second; options that are not listed here are handed on
to it. The face is then found again in the frames of each video:

  aperture correlation   a frame and the sound of each clip of a speaker kept out of training are
                         rendered; inner-lip gap over eye distance against the clip's own, best
                         lag within 2 frames, mean over clips
  open/shut AUC          speech of a voice kept out of training; probability that the widest gap in
                         an open vowel exceeds the least gap in a p, b or m, over all sentences

Beside them the same figures for the landmarks before rendering (landmarks), for the log RMS of the
sound taken as the gap (loudness) and, with --ceiling, for the warp renderer given the true motion
of the clip or lips written from the phones (ceiling). Videos in --out_dir are kept and used again
as long as options, weights, code, picture and sound are the same.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import threading
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from src.command_line import OneLineParser, between, progress, run_command
from src.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from src.evaluation.cases import Case, Score

HERE = Path(__file__).resolve().parent
COMMAND = HERE / "main_end2end.py"
# Its lips are shut, so that a gap which is found in a p, b or m was put there.
PORTRAIT = HERE / "examples" / "grace_hopper.jpg"
FRAMES_PER_SECOND = 25
# Set by this script for every video, so they cannot be handed on.
TAKEN = ("--jpg", "--wav", "--out", "--output_folder", "--fps", "--save_intermediates")
TAKEN += ("--landmarks", "--landmarks_only", "--show_landmarks")
# What the look of a video depends on, besides its inputs.
SOURCES = ("main_end2end.py", "src/*.py", "src/frames/*.py", "src/landmarks/*.py")
SOURCES += ("src/networks/*.py", "thirdparty/*.py", "examples/ckpt/**/*")


def parse(arguments: list[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    """This script's options, and those that main_end2end.py gets."""
    parser = OneLineParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--root_dir", type=Path, required=True, help="folder with clips/ and synthetic/")
    add("--videos", type=Path, nargs="*", default=[], help="folders of the videos of the clips")
    held_out = ["aoc", "german_anchor", "grid_d", "grid_i", "lp_d20"]
    add("--speakers", nargs="*", default=held_out, help=f"({' '.join(held_out)})")
    add("--voices", nargs="*", default=["slt"], help="synthetic voices (slt)")
    add("--portrait", type=Path, default=PORTRAIT, help=f"for the voices ({PORTRAIT.name})")
    count = between(1, 10**6, int)
    add("--most_synthetic", type=count, default=30, help="sentences a voice (%(default)s)")
    add("--ceiling", action="store_true", help="also what renderer and detection allow at best")
    add("--out_dir", type=Path, help="folder of the videos (ROOT/evaluation)")
    add("--fresh", action="store_true", help="render again what is there already")
    add("--json", type=Path, help="file that gets all figures")
    add("--jobs", type=count, default=1, help="videos rendered at a time (%(default)s)")
    options, handed_on = parser.parse_known_args(arguments)
    for word in handed_on:
        if word.split("=")[0] in TAKEN:
            parser.error(f"{word}: set by this script for each video")
    if handed_on and not handed_on[0].startswith("-"):
        parser.error(f"unrecognized arguments: {handed_on[0]}")
    return options, handed_on


def main(arguments: list[str] | None = None) -> int:
    options, handed_on = parse(arguments)
    return run_command(lambda known: run(known, handed_on), options)


def run(options: argparse.Namespace, handed_on: list[str]) -> None:
    from src.evaluation import cases as judged
    from src.evaluation import rendered
    from src.frames.picture import flatten, read_picture
    from src.video import check_writable

    root = options.root_dir
    if not root.is_dir():
        raise InputError(f"{root}: no such folder")
    folder = options.out_dir or root / "evaluation"
    for path in filter(None, (folder / "any.mp4", options.json)):
        check_writable(path)
    cases = []
    if options.speakers:
        cases += judged.clip_cases(root, options.speakers, options.videos)
    if options.voices:
        portrait = flatten(read_picture(options.portrait))
        cases += judged.speech_cases(root, options.voices, portrait, options.most_synthetic)
    if not cases:
        raise InputError("--speakers and --voices: both are empty, so there is nothing to judge")

    common = fingerprint(handed_on)
    scores, children = [], Children()
    lips = judged.lips_from_phones(root) if options.ceiling and options.voices else None
    with ThreadPoolExecutor(options.jobs) as pool:
        futures = [
            pool.submit(
                render, case, folder, handed_on, common, options.fresh, options.jobs, children
            )
            for case in cases
        ]
        try:
            pairs = zip(cases, futures, strict=True)
            for case, future in progress(pairs, len(cases), "videos to judge"):
                video, landmarks = future.result()
                ceiling = judged.ceiling_track(case, lips) if options.ceiling else None
                track = rendered.redetect(video)
                scores.append(judged.score(case, track, landmarks, ceiling))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            children.stop()
    clips = [one for one in scores if one.correlations]
    speech = [one for one in scores if one.opened]
    sys.stdout.write(table(clips, speech))
    if options.json:
        write_json(options.json, clips, speech, handed_on)


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
    import cv2
    import numpy as np

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
        command += ["--fps", str(FRAMES_PER_SECOND), "--save_intermediates", str(arrays)]
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
    from src.audio import SAMPLE_RATE

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())


def table(clips: list[Score], speech: list[Score]) -> str:
    """All figures as plain text."""
    from src.evaluation import cases as judged

    lines = []
    if clips:
        means = judged.mean_correlations(clips)
        width = max(len(one.name) for one in clips)
        lines += ["Aperture correlation with the true clip", ""]
        lines.append(f"{'':{width}}  {'seconds':>9}{'face in':>9}" + columns(means, str))
        for one in clips:
            facts = f"{one.motion.seconds:9.1f}{one.seen:9.0%}"
            lines.append(f"{one.name:{width}}  {facts}{columns(one.correlations.values())}")
        lines += [f"{'mean':{width}}  {'':18}{columns(means.values())}", ""]
    if speech:
        aucs = judged.pooled_auc(speech)
        opened = sum(len(one.opened["video"]) for one in speech)
        shut = sum(len(one.shut["video"]) for one in speech)
        voices = " ".join(sorted({one.speaker for one in speech}))
        seen = sum(one.seen for one in speech) / len(speech)
        counts = f"{len(speech)} sentences, {opened} open vowels, {shut} p b m, face in {seen:.0%}"
        lines += [f"Open/shut AUC, voice {voices}: {counts}", ""]
        lines += [columns(aucs, str), columns(aucs.values()), ""]
    lines += ["Head and eyes, of the videos", ""]
    lines.append(f"{'':16}{'nose, % of jaw':>16}{'roll, degrees':>16}{'blinks a minute':>17}")
    for name, motions in motions_of(clips, speech).items():
        one = judged.pooled_motion(motions)
        figures = f"{one['position']:16.2f}{one['roll']:16.2f}{one['blinks_per_minute']:17.1f}"
        lines.append(f"{name:16}{figures}")
    return "\n".join(lines) + "\n"


def columns(values, as_text=lambda value: f"{value:.3f}") -> str:
    return "".join(f"{as_text(value):>11}" for value in values)


def motions_of(clips: list[Score], speech: list[Score]) -> dict[str, list]:
    """The motions of each row of the last table; those without videos are left out."""
    rows = {
        "clips": [one.motion for one in clips],
        "the true clips": [one.true_motion for one in clips],
        "speech": [one.motion for one in speech],
    }
    return {name: motions for name, motions in rows.items() if motions}


def write_json(path: Path, clips: list[Score], speech: list[Score], handed_on: list[str]) -> None:
    """All figures, of each case too; NaN becomes null."""
    from src.evaluation import cases as judged
    from src.training.dumps import replace_file

    contents = {
        "options": handed_on,
        "aperture_correlation": judged.mean_correlations(clips),
        "open_shut_auc": judged.pooled_auc(speech),
        "motion": {
            name: judged.pooled_motion(motions)
            for name, motions in motions_of(clips, speech).items()
        },
        "cases": [dataclasses.asdict(one) for one in (*clips, *speech)],
    }
    text = json.dumps(without_nan(contents), indent=1)
    replace_file(path, lambda file: file.write(text.encode()))


def without_nan(value):
    """The same nested value with None for every NaN: JSON has none."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if value != value else value


if __name__ == "__main__":
    sys.exit(main())
