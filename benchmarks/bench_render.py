"""Time image translation: one frame after the other in float32, and as this repository does it.

    python benchmarks/bench_render.py
    python benchmarks/bench_render.py --device cpu --threads 2 --turns 5

Random weights, which take as long as trained ones. *Plain* is the loop of the published release:
draw, network, image, one frame at a time, float32. The others are `UNetRenderer` with the
network as `src.models.folding` makes it. They take turns, and the best turn of each counts; time
of the processor's cores tells more than the clock where other programs run. Encoding is not in it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from src.face.crop import FaceCrop, cut, face_crop  # noqa: E402  (no package)
from src.face.topology import LOWER_LIP  # noqa: E402
from src.models.config import TranslationConfig  # noqa: E402
from src.models.dimensions import IMAGE_SIZE  # noqa: E402
from src.models.folding import for_inference  # noqa: E402
from src.models.image_translation import (  # noqa: E402
    ResUnetGenerator,
    generated_frame,
    refinement,
)
from src.render.compositing import Compositor  # noqa: E402
from src.render.landmark_image import landmark_image  # noqa: E402
from src.render.unet import UNetRenderer  # noqa: E402
from src.render.warp.portrait import WarpRenderer  # noqa: E402

PUPPET = ROOT / "examples_cartoon" / "maestro"
EMBEDDED = TranslationConfig(mends=True, num_downs=5, ngf=32, max_widening=4)
FACE_FRACTION = 0.65  # of the image's side is the face's crop

Frames = Callable[[int], Iterator]
"""Generates a number of frames."""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--device", choices=("all", "cpu", "cuda"), default="all", help="(%(default)s)")
    add("--threads", type=int, help="processor cores to use (all)")
    add("--turns", type=int, default=3, help="of each version (%(default)s)")
    return parser.parse_args()


def portrait(side: int) -> tuple[np.ndarray, np.ndarray]:
    """A face (side, side, 3) and its landmarks (68, 2) in pixels; here of a bundled puppet."""
    image = cv2.imread(f"{PUPPET}.png")
    landmarks = np.loadtxt(f"{PUPPET}_face_open_mouth.txt")[:, :2]
    face = face_crop(landmarks)
    size = face.size / FACE_FRACTION
    corner = np.array([face.x, face.y]) - (size - face.size) / 2
    square = FaceCrop(float(corner[0]), float(corner[1]), size)
    return cut(image, square, side), (landmarks + 0.5 - corner) * side / size - 0.5


def motion(landmarks: np.ndarray, frames: int) -> np.ndarray:
    """Landmarks (frames, 68, 2) of a head that nods while its lower lip goes up and down."""
    width = landmarks[16, 0] - landmarks[0, 0]
    phase = 2 * np.pi * np.arange(frames)[:, None] / 40
    moved = np.repeat(landmarks[None], frames, 0)
    moved += 0.03 * width * np.stack([np.sin(phase / 3), np.sin(phase)], -1)
    moved[:, LOWER_LIP, 1] += 0.03 * width * np.sin(3 * phase)
    return moved


def tensor(image: np.ndarray, device: torch.device) -> torch.Tensor:
    """uint8 (H, W, C) as (1, C, H, W) in 0-1, contiguous."""
    whole = torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float() / 255
    return whole.contiguous()


def to_image(content: torch.Tensor) -> np.ndarray:
    """(1, 3, H, W) in 0-1 as uint8 (H, W, 3)."""
    return (content[0].permute(1, 2, 0).cpu().numpy() * 255).round().astype(np.uint8)


def plain_generation(network: ResUnetGenerator, device: torch.device) -> Frames:
    """The release's loop over a portrait of the network's size."""
    image, landmarks = portrait(IMAGE_SIZE)

    def frames(count: int) -> Iterator[np.ndarray]:
        for face in motion(landmarks, count):
            inputs = np.concatenate([landmark_image(face), image], axis=-1)
            with torch.no_grad():
                yield to_image(generated_frame(network(tensor(inputs, device))))

    return frames


def plain_refinement(network: ResUnetGenerator, side: int, device: torch.device) -> Frames:
    """The same for a refinement network, with the warp before and the paste after it."""
    image, landmarks = portrait(side)
    crop, warper = face_crop(landmarks), WarpRenderer(image, landmarks)
    still, compositor = cut(image, crop), Compositor(image.shape, crop)

    def frames(count: int) -> Iterator[np.ndarray]:
        for face in motion(landmarks, count):
            whole = warper.render(face)
            drawn, warped = landmark_image(crop.to_crop(face), antialiased=True), cut(whole, crop)
            inputs = tensor(np.concatenate([drawn, still, warped], axis=-1), device)
            with torch.no_grad():
                yield compositor([whole], *refinement(network(inputs), inputs[:, 6:]))[0]

    return frames


def ours(network: ResUnetGenerator, side: int, device: torch.device) -> Frames:
    """The renderer; a network that generates the face gets the whole image."""
    image, landmarks = portrait(side)
    crop = face_crop(landmarks) if network.config.mends else FaceCrop(0, 0, IMAGE_SIZE)
    renderer = UNetRenderer(image, landmarks, network, device, crop)
    return lambda count: renderer.frames(motion(landmarks, count))


def compared(device: torch.device) -> dict[str, dict[str, Frames]]:
    """The versions to time on a device, by table; the first of each is the reference."""
    torch.manual_seed(0)
    official = ResUnetGenerator(TranslationConfig()).eval()
    embedded = ResUnetGenerator(EMBEDDED).eval()
    quick = for_inference(official, device), for_inference(embedded, device)
    dtype = next(quick[0].parameters()).dtype
    name = f"ours, {str(dtype).removeprefix('torch.')}"
    tables: dict[str, dict[str, Frames]] = {}
    official.to(device), embedded.to(device)
    generation = {"plain": plain_generation(official, device)}
    if device.type == "cpu" and dtype != torch.float32:
        in_float32 = for_inference(official, device, torch.float32)
        generation["ours, float32"] = ours(in_float32, IMAGE_SIZE, device)
    generation[name] = ours(quick[0], IMAGE_SIZE, device)
    tables[f"official size, {millions(official)}, portrait of 256 x 256"] = generation
    for side in (256, 512):
        tables[f"embedded size, {millions(embedded)}, portrait of {side} x {side}"] = {
            "plain": plain_refinement(embedded, side, device),
            name: ours(quick[1], side, device),
        }
    return tables


def millions(network: ResUnetGenerator) -> str:
    """The number of parameters of a network."""
    return f"{sum(weight.numel() for weight in network.parameters()) / 1e6:.1f} M parameters"


def timed(frames: Frames, count: int) -> tuple[float, float]:
    """Seconds a frame, and seconds of all processor cores together a frame."""
    began, worked = time.perf_counter(), time.process_time()
    for _ in frames(count):
        pass
    return (time.perf_counter() - began) / count, (time.process_time() - worked) / count


def report(device: torch.device, turns: int) -> None:
    """Time all versions on a device, turn by turn, and print them."""
    tables = compared(device)
    # Whole batches, and at least one for each thread.
    batches = 32 if device.type == "cpu" else 512
    turned = {}
    for turn in range(turns + 1):
        for title, versions in tables.items():
            for name, frames in versions.items():
                taken = timed(frames, 4 if name == "plain" else batches)
                if turn > 0:  # the first run of all is slow
                    turned.setdefault((title, name), []).append(taken)
    for title, versions in tables.items():
        print(title)
        plain = np.min(turned[title, "plain"], axis=0)
        for name in versions:
            taken, worked = np.min(turned[title, name], axis=0)
            print(
                f"  {name:16}{1 / taken:8.1f} frames/s, {1000 * worked:7.1f} ms of cores a frame; "
                f"{plain[0] / taken:5.2f} and {plain[1] / worked:5.2f} times plain"
            )


def main() -> int:
    options = parse()
    if options.threads:
        torch.set_num_threads(options.threads)
        cv2.setNumThreads(options.threads)
    kinds = ("cpu", "cuda") if options.device == "all" else (options.device,)
    for kind in kinds:
        if kind == "cuda" and not torch.cuda.is_available():
            if options.device == "cuda":
                sys.exit("no CUDA device")
            continue
        device = torch.device(kind)
        where = torch.cuda.get_device_name() if kind == "cuda" else "CPU"
        print(
            f"{where}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}", flush=True
        )
        report(device, options.turns)
    return 0


if __name__ == "__main__":
    sys.exit(main())
