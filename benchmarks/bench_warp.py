"""Time the mesh renderer beside a plain NumPy version of it.

    python benchmarks/bench_warp.py

A bundled puppet (640 x 680 pixels, 146 triangles) nods and opens its mouth over its background.
Both versions warp the same frames and composite them by alpha; they take turns, and the best turn
of each counts. Encoding is not in it.
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
from src.puppets.files import find_background, read_puppet  # noqa: E402
from src.puppets.puppet import Puppet  # noqa: E402
from src.render.mesh import premultiplied  # noqa: E402

PUPPET = ROOT / "examples_cartoon" / "maestro.png"
TURNS = 5
FRAMES = 100  # of a turn


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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2, help="processor cores (%(default)s)")
    threads = parser.parse_args().threads
    cv2.setNumThreads(threads)
    puppet = read_puppet(PUPPET)
    background = flatten(read_image(find_background(PUPPET)))
    faces = motion(puppet.landmarks, FRAMES)
    versions = {
        "plain NumPy and cv2.remap": plain(puppet, background),
        "MeshRenderer": puppet.renderer(background).render,
    }
    expected, frame = (render(faces[FRAMES // 3]) for render in versions.values())
    turns = [[seconds(render, faces) for render in versions.values()] for _ in range(TURNS)]
    best = np.min(turns, axis=0)
    print(f"{len(puppet.triangles)} triangles, {threads} threads")
    for name, time_taken in zip(versions, best, strict=True):
        rate = FRAMES / time_taken
        print(f"{name:30} {rate:7.0f} frames/s   {best[0] / time_taken:5.2f} times plain")
    print(f"They differ by {np.abs(frame.astype(int) - expected).max()} of 255 at most.")


if __name__ == "__main__":
    main()
