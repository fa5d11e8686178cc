"""Measure whether the lips of puppets close for p, b and m, by phones whose times are known.

    python benchmarks/bench_puppet_lips.py
    python benchmarks/bench_puppet_lips.py maestro puppets/wilk.png --sentences 10 --amp_lip_y 3

Needs flite, which synthesises sentences in its voice slt (not in the training data of the embedded
networks) with the time of each phone. Open/shut AUC is the probability that the widest gap in an
open vowel is wider than the smallest one in a p, b or m; gaps are those between landmarks 62 and 66
in the video's frames.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from src.animate import animate, load_models, read_speech  # noqa: E402  (not a package)
from src.command_line import find_input  # noqa: E402
from src.data.synthesis import random_sentences, speak_flite  # noqa: E402
from src.io.audio import SAMPLE_RATE  # noqa: E402
from src.io.image import IMAGE_SUFFIXES  # noqa: E402
from src.metrics.open_shut import auc, interpolated_extremes  # noqa: E402
from src.motion.settings import MotionSettings  # noqa: E402
from src.puppets.files import read_puppet  # noqa: E402

CARTOONS = ROOT / "examples_cartoon"
BUNDLED = ("maestro", "captain", "clara", "yuki", "leo", "count")
TEXTS = 77  # seed of the sentences


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "puppets", nargs="*", default=BUNDLED, metavar="PUPPET", help="(those of examples_cartoon/)"
    )
    add("--sentences", type=int, default=30, help="(%(default)s)")
    add("--amp_lip_y", type=float, default=MotionSettings().amp_lip_y, help="(%(default)s)")
    options = parser.parse_args()
    models = load_models(renderer="warp", device="cpu")
    spoken = []
    for text in itertools.islice(random_sentences(TEXTS), options.sentences):
        speech = speak_flite(text, "slt")
        spoken.append((speech, read_speech((speech.wav, SAMPLE_RATE), models)))
    print("puppet            AUC   open vowels   median p b m   closed to a tenth of a vowel")
    for name in options.puppets:
        puppet = read_puppet(find_input(name, CARTOONS, "puppet", ("", *IMAGE_SUFFIXES)))
        mouth = np.linalg.norm(puppet.landmarks[54] - puppet.landmarks[48])
        vowels, closures = [], []
        for speech, features in spoken:
            video = animate(puppet, features, models, MotionSettings(amp_lip_y=options.amp_lip_y))
            gap = np.linalg.norm(video.landmarks[:, 66, :2] - video.landmarks[:, 62, :2], axis=1)
            widest, smallest = interpolated_extremes(gap, video.fps, speech.phones)
            vowels += widest
            closures += smallest
        vowel = np.median(vowels)
        closed = np.mean(np.array(closures) < 0.1 * vowel)
        score = auc(vowels, closures)
        print(
            f"{puppet.name:15} {score:6.3f}   {vowel / mouth:4.0%} of mouth   "
            f"{np.median(closures) / vowel:5.1%} of that   {closed:4.0%} of them",
            flush=True,
        )


if __name__ == "__main__":
    main()
