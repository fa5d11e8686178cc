"""Create the portraits and recordings of this folder again.

    python examples/make_examples.py

The portraits are cropped from images that come with scikit-image and matplotlib; the recordings are
synthesised with flite, which must be installed.
"""

import subprocess
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import skimage

HERE = Path(__file__).resolve().parent
SIDE = 512  # pixels
JPEG_QUALITY = 92

VOICES = {
    "welcome_slt.wav": (
        "slt",
        "Hello! A moment ago I was a still picture. This program listened to a voice, "
        "and made my lips, my eyes and my head follow it.",
    ),
    "welcome_rms.wav": (
        "rms",
        "One picture and one recording are enough. The voice moves sixty eight points, "
        "and the points move the face.",
    ),
}


def save_square(image: np.ndarray, left: int, top: int, side: int, name: str) -> None:
    """Crop a square from an image and write it with sides of `SIDE` pixels."""
    square = image[top : top + side, left : left + side]
    scaled = cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_LANCZOS4)
    cv2.imwrite(str(HERE / name), scaled, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def main() -> None:
    astronaut = cv2.imread(str(Path(skimage.__file__).parent / "data" / "astronaut.png"))
    hopper = cv2.imread(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    save_square(astronaut, left=84, top=0, side=288, name="astronaut.jpg")
    save_square(hopper, left=0, top=0, side=512, name="grace_hopper.jpg")
    for name, (voice, text) in VOICES.items():
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(HERE / name)], check=True)


if __name__ == "__main__":
    main()
