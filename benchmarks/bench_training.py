"""Speed and memory of the training of the content branch.

    python benchmarks/bench_training.py              # half an hour of clips, embedded sizes
    python benchmarks/bench_training.py --published  # the release's sizes
    python benchmarks/bench_training.py --hours 10   # takes 5 GB of disk for a while

Clips of noise are written as a dump, read back as a training reads them, and trained on.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from src.data import dumps  # noqa: E402
from src.face.topology import LANDMARK_COUNT  # noqa: E402
from src.io.audio import FRAME_RATE  # noqa: E402  (the folder is not a package)
from src.models.config import ContentConfig  # noqa: E402
from src.models.content import ContentBranch  # noqa: E402
from src.training import content, corpus, loop  # noqa: E402
from src.training.settings import ContentTraining  # noqa: E402

CLIP = 1875  # frames, 30 s
EMBEDDED = {"prior_hidden": 128, "prior": 96, "lstm_size": 128, "lstm_layers": 2, "dropout": 0.2}
WARM_UP = 3  # steps that are not counted


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--hours", type=float, default=0.5, help="of clips (%(default)s)")
    add("--steps", type=int, default=40, help="(%(default)s)")
    add("--batch", type=int, default=512, help="windows a step (%(default)s)")
    add("--threads", type=int, default=0, help="CPU threads of the network, 0 for all")
    add("--device", choices=("auto", "cuda", "cpu"), default="auto", help="(%(default)s)")
    add("--bfloat16", action="store_true", help="compute in it")
    add("--published", action="store_true", help="the release's sizes of the network")
    return parser.parse_args()


def clips_of_noise(hours: float) -> Iterator[dumps.Clip]:
    rng = np.random.default_rng(0)
    face = rng.uniform(-0.5, 0.5, (LANDMARK_COUNT, 3)).astype(np.float32)
    face[0], face[16] = (-0.8, 0, 0), (0.8, 0, 0)
    embedding = np.full(256, 1 / 16, np.float32)
    for index in range(max(1, round(hours * 3600 * FRAME_RATE / CLIP))):
        moves = 0.02 * rng.standard_normal((CLIP, 3 * LANDMARK_COUNT), np.float32)
        features = rng.random((CLIP, 80), np.float32)
        yield dumps.Clip(features, face.reshape(-1) + moves, f"s{index % 40}/{index}", embedding)


def write(root: Path, hours: float) -> None:
    dumps.write_clips(root, "train", list(clips_of_noise(hours)))
    dumps.write_clips(root, "val", list(clips_of_noise(0.01)))


def anonymous_bytes() -> int:
    """Memory of this process that is not mapped from a file (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    return 0


def main() -> int:
    options = parse()
    logging.basicConfig(level=logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        # Written in a process of its own, so that its memory is not counted.

        writer = multiprocessing.get_context("spawn").Process(
            target=write, args=(root, options.hours)
        )
        writer.start()
        writer.join()
        before = anonymous_bytes()
        began = time.monotonic()
        clips, held_out = dumps.read_training(root, "autovc_retrain_mel")
        statistics = corpus.feature_statistics(clips)
        network = ContentBranch(ContentConfig(**({} if options.published else EMBEDDED)))
        training = corpus.Corpus.of(clips, statistics, lead=0)
        validation = corpus.Corpus.of(held_out, statistics, lead=0)
        reading = time.monotonic() - began
        settings = ContentTraining(
            root_dir=root,
            steps=WARM_UP,
            validate_every=10**9,
            log_every=10**9,
            segment_batch_size=options.batch,
            bfloat16=options.bfloat16,
            threads=options.threads,
            device=options.device,
        )
        device = loop.begin(settings)
        data = (training, validation, {})
        content.train(settings, device, network, *data)
        settings = dataclasses.replace(settings, steps=options.steps)
        began = time.monotonic()
        content.train(settings, device, network, *data)
        rate = options.steps / (time.monotonic() - began)
        after = anonymous_bytes()

        probabilities = corpus.clip_probabilities(clips, {}, settings.run_length)
        rng = np.random.default_rng(0)
        began = time.thread_time()
        for _ in range(10):
            content.draw_batch(training, probabilities, rng, settings)
        drawing = (time.thread_time() - began) / 10
    frames = sum(len(clip.features) for clip in clips)
    arrays = frames * 4 * (80 + 3 * LANDMARK_COUNT)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{frames} windows, {arrays / 1e9:.2f} GB of arrays, opened in {reading:.1f} s")
    print(f"{'windows a second':40} {rate * options.batch:10.0f}")
    print(f"{'drawing a batch, processor time':40} {1e3 * drawing:10.1f} ms")
    print(f"{'memory used, without mapped files':40} {(after - before) / 1e9:10.2f} GB")
    print(f"{'peak memory, mapped files included':40} {peak / 1e9:10.2f} GB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
