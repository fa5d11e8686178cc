"""Draw the puppets of this folder again, with their backgrounds and puppet files.

    python -m examples_cartoon.draw_puppets [NAME ...]
    python -m examples_cartoon.draw_puppets --pictures docs/puppets    # of the README, too

The landmarks are those that the drawing was made from, so they are exact; so is the closed mouth.
"""

from __future__ import annotations

import argparse
import importlib
import logging
from pathlib import Path

import numpy as np
from PIL import Image

from examples_cartoon.drawings.pencils import Canvas, closed_mouth
from src.puppets.puppet import new_puppet, read_standard_face, write_puppet

HERE = Path(__file__).resolve().parent
CHECKPOINTS = HERE.parent / "examples" / "ckpt"
NAMES = ("maestro", "captain", "clara", "yuki", "leo", "count")
JPEG_QUALITY = 86
PICTURE_SIDE = 200  # pixels of a README's picture
# Colours in steps of 4: no eye sees it, and grain takes half the bytes.
KEPT_BITS = 0xFC

log = logging.getLogger(__name__)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)} (all)")
    parser.add_argument("--folder", type=Path, default=HERE, help="where they go (%(default)s)")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="small ones for a README")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in options.names or NAMES:
        draw_puppet(name, options.folder)
        if options.pictures:
            draw_picture(options.folder / f"{name}.png", options.pictures)
        log.info("drew %s", name)


def draw_puppet(name: str, folder: Path) -> None:
    """Draw one puppet and write all of its files."""
    style = importlib.import_module(f"examples_cartoon.drawings.{name}")
    face = style.landmarks()
    picture = slimmed(finished(style.draw(face)))
    path = folder / f"{name}.png"
    picture.save(path, optimize=True)
    background = finished(style.background()).convert("RGB")
    background.save(folder / f"{name}_bg.jpg", quality=JPEG_QUALITY, optimize=True)
    puppet = new_puppet(
        name,
        np.asarray(picture),
        face,
        read_standard_face(CHECKPOINTS)[:, 2],
        closed=closed_mouth(face),
        inner_lip=style.INNER_LIP,
    )
    write_puppet(puppet, path)


def draw_picture(path: Path, folder: Path) -> None:
    """A small picture of a puppet before its background."""
    drawing = Image.open(path)
    picture = Image.open(path.with_name(f"{path.stem}_bg.jpg")).convert("RGBA")
    picture.alpha_composite(drawing)
    side = min(picture.size)
    small = picture.convert("RGB").crop((0, 0, side, side)).resize((PICTURE_SIDE, PICTURE_SIDE))
    folder.mkdir(parents=True, exist_ok=True)
    small.save(folder / f"{path.stem}.jpg", quality=JPEG_QUALITY, optimize=True)


def finished(drawing: Canvas | Image.Image) -> Image.Image:
    """The picture of a canvas, or of a style that makes its own."""
    return drawing.finished() if isinstance(drawing, Canvas) else drawing


def slimmed(picture: Image.Image) -> Image.Image:
    """An RGBA picture that compresses better: fewer shades, nothing where it is transparent."""
    pixels = np.array(picture)
    exact = pixels[..., :3].reshape(-1, 3)
    if len(np.unique(exact, axis=0)) > 4096:
        pixels[..., :3] = np.minimum(pixels[..., :3].astype(np.uint16) + 2, 255) & KEPT_BITS
    pixels[pixels[..., 3] == 0] = 0
    return Image.fromarray(pixels)


if __name__ == "__main__":
    main()
