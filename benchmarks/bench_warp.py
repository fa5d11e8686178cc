"""Time the mesh renderer beside a plain NumPy version of it.

    python benchmarks/bench_warp.py
    python benchmarks/bench_warp.py --width 1024 --height 1366 --threads 4

A bundled puppet at the size asked for (512 x 683, 146 triangles) nods and opens its mouth over its
background. Every version warps the same frames and composites them by alpha; they take turns, and
the best turn of each counts. Encoding is not in it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from src.face.topology import INNER_LIPS  # noqa: E402
from src.io.image import flatten, read_image  # noqa: E402
from src.models.loading import load_standard_face  # noqa: E402
from src.puppets.create import new_puppet  # noqa: E402
from src.puppets.files import find_background, read_puppet  # noqa: E402
from src.puppets.puppet import Puppet  # noqa: E402
from src.render.mesh import premultiplied  # noqa: E402  (the folder is not a package)

CARTOONS = ROOT / "examples_cartoon"
TURNS = 5


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--jpg", default="maestro", help="puppet of examples_cartoon/ (%(default)s)")
    add("--width", type=int, default=512, help="pixels (%(default)s)")
    add("--height", type=int, default=683, help="pixels (%(default)s)")
    add("--frames", type=int, default=100, help="of a turn (%(default)s)")
    add("--threads", type=int, default=2, help="processor cores to use (%(default)s)")
    return parser.parse_args()


def sized_puppet(name: str, width: int, height: int) -> tuple[Puppet, np.ndarray]:
    """A bundled puppet and its background at another size, triangulated anew."""
    path = CARTOONS / f"{name}.png"
    puppet = read_puppet(path)
    behind = flatten(read_image(find_background(path)))
    images = [
        cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        for image in (puppet.image, behind)
    ]
    factor = np.array([width, height]) / puppet.image.shape[1::-1]
    landmarks = (puppet.landmarks + 0.5) * factor - 0.5
    depth = load_standard_face(ROOT / "examples" / "ckpt")[:, 2]
    return new_puppet(name, images[0], landmarks, depth), images[1]


def motion(landmarks: np.ndarray, frames: int) -> np.ndarray:
    """Landmarks (frames, 68, 2) of a head that nods while its mouth opens and shuts."""
    width = landmarks[16, 0] - landmarks[0, 0]
    phase = 2 * np.pi * np.arange(frames)[:, None] / 40
    moved = np.repeat(landmarks[None], frames, 0)
    moved += 0.03 * width * np.stack([np.sin(phase / 3), np.sin(phase)], -1)
    moved[:, INNER_LIPS.start + 5 :, 1] += 0.03 * width * np.sin(3 * phase)
    return moved


def plain(puppet: Puppet, background: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A first version of the same: an index map, fancy indexing, remap, floats."""
    layer = premultiplied(puppet.image)
    reference = puppet.vertices(puppet.landmarks)[puppet.triangles]
    height, width = layer.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    behind = background.astype(np.float32)

    def render(landmarks: np.ndarray) -> np.ndarray:
        vertices = puppet.vertices(landmarks)
        corners = vertices[puppet.triangles]
        index = np.zeros((height, width), np.uint8)
        maps = np.zeros((len(corners) + 1, 2, 3), np.float32)
        for number, (target, source) in enumerate(zip(corners, reference, strict=True), 1):
            cv2.fillConvexPoly(index, np.round(target * 64).astype(np.int32), number, shift=6)
            maps[number] = np.linalg.solve(np.column_stack([target, np.ones(3)]), source).T
        here = maps[index]
        x = here[..., 0, 0] * columns + here[..., 0, 1] * rows + here[..., 0, 2]
        y = here[..., 1, 0] * columns + here[..., 1, 1] * rows + here[..., 1, 2]
        frame = cv2.remap(layer, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        frame[index == 0] = 0
        alpha = frame[..., 3:].astype(np.float32) / 255
        return np.round(frame[..., :3] + (1 - alpha) * behind).clip(0, 255).astype(np.uint8)

    return render


def seconds(render: Callable[[np.ndarray], np.ndarray], faces: np.ndarray) -> float:
    began = time.perf_counter()
    for face in faces:
        render(face)
    return time.perf_counter() - began


def main() -> int:
    options = parse()
    cv2.setNumThreads(options.threads)
    puppet, background = sized_puppet(options.jpg, options.width, options.height)
    faces = motion(puppet.landmarks, options.frames)
    versions = {
        "plain NumPy and cv2.remap": plain(puppet, background),
        "MeshRenderer": puppet.renderer(background).render,
    }
    expected, frame = (render(faces[options.frames // 3]) for render in versions.values())
    print(
        f"{options.width} x {options.height} pixels, {len(puppet.triangles)} triangles, "
        f"composited, {options.threads} threads"
    )
    turns = [[seconds(render, faces) for render in versions.values()] for _ in range(TURNS)]
    best = [min(times) for times in zip(*turns, strict=True)]
    for name, time_taken in zip(versions, best, strict=True):
        rate = options.frames / time_taken
        print(f"{name:30} {rate:7.0f} frames/s   {best[0] / time_taken:5.2f} times plain")
    difference = np.abs(frame.astype(int) - expected).max()
    print(f"The renderer differs from plain by {difference} of 255 at most")
    return 0


if __name__ == "__main__":
    sys.exit(main())
