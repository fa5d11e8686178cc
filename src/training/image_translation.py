"""Training of image translation: drawn landmarks and a portrait to the frame (paper, section 4.4).

The loss of the paper: L1, activations of VGG-19 (perceptual) and their Gram matrices (style). Ours
can add weight to mouth and eyes, and two judges: of the whole face and of the mouth alone, which
keep teeth and lips from being blurred, as an L1 alone does with what it cannot know.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from src.checkpoints import load_weights, read_checkpoint
from src.landmarks.topology import LEFT_EYE, LIPS, RIGHT_EYE
from src.networks.image_translation import ResUnetGenerator, mended, painted
from src.networks.patch_discriminator import PatchDiscriminator
from src.networks.vgg import Vgg19
from src.training import loop, parallel, runs
from src.training.dumps import replace_file
from src.training.pairs import PairMaker, Pairs
from src.training.shards import Pictures

BETAS = (0.5, 0.999)  # of Adam (the paper)
EMA_DECAY = 0.999
# Parts of a training before which meddling costs nothing, and from which it costs in full: a
# network that is made to keep out before it can mend never learns to.
SHARE_FREE, SHARE_FULL = 0.3, 0.6
JUDGED_PAIRS = 32  # portraits of the held-out side that every validation renders
ROOM = 0.3  # of a region's size, that is weighed and judged round it
MOUTH_SIZE = 64  # pixels of the mouth's judge
SHEET_ROWS = 8
VGG_FILE = "vgg19-dcbb9e9d.pth"  # torchvision's name for the weights trained on ImageNet

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How to train."""

    batch_size: int  # portraits
    num_frames: int  # targets of each
    num_workers: int  # processes that make pairs; 0: this one
    window: int  # side in pixels of the part of the square to train on
    judges: tuple[str, ...]  # "face", "mouth"
    judge_width: int  # of their first layer
    bfloat16: bool  # networks compute in it
    learning_rate: float
    l1_weight: float
    perceptual_weight: float
    style_weight: float
    adversarial_weight: float
    matching_weight: float  # of the judges' own activations
    share_weight: float  # on how much a mending network replaces apart from mouth and eyes
    mouth_weight: float  # of the mouth's L1, besides 1
    eye_weight: float
    sheet_every: int  # steps between sheets of pictures; 0: none
    kept_every: int  # steps between checkpoints that stay; 0: none
    seed: int


@dataclass(frozen=True)
class Made:
    """What a network makes of a batch, all (B, ., H, W) in 0-1."""

    frame: torch.Tensor
    share: torch.Tensor | None  # that is not the warped portrait's


class Drawn:
    """Batches of pairs, made ahead by other processes; on after a stop as if there had been none.

    Numbers of pairs come from `rng`. The loader reads ahead of it from a copy, and `rng` itself
    goes on as batches are handed out, so that its state says what comes next.
    """

    def __init__(self, maker: PairMaker, options: Options, rng: np.random.Generator) -> None:
        self.maker = maker
        self.options = options
        self.rng = rng
        self.own = parallel.own(options.batch_size)
        self.loader: Iterator | None = None

    def __call__(self) -> loop.Batch:
        if self.loader is None:
            self.loader = iter(self._loader(copy.deepcopy(self.rng)))
        batch = next(self.loader)
        self._numbers(self.rng)
        return batch

    def _numbers(self, rng: np.random.Generator) -> list[int]:
        return rng.integers(2**62, size=self.options.batch_size)[self.own].tolist()

    def _loader(self, rng: np.random.Generator) -> torch.utils.data.DataLoader:
        workers = self.options.num_workers
        return torch.utils.data.DataLoader(
            _Numbered(self.maker),
            batch_sampler=_Endless(lambda: self._numbers(rng)),
            num_workers=workers,
            collate_fn=together,
            worker_init_fn=_one_thread,
            # A fork of a process with running threads may never wake up.
            multiprocessing_context="spawn" if workers else None,
            prefetch_factor=4 if workers else None,
        )


class _Numbered(torch.utils.data.Dataset):
    """Pairs by their number."""

    def __init__(self, maker: PairMaker) -> None:
        self.maker = maker

    def __getitem__(self, number: int) -> Pairs:
        return self.maker(number)


class _Endless:
    """Lists of numbers without end."""

    def __init__(self, numbers: Callable[[], list[int]]) -> None:
        self.numbers = numbers

    def __iter__(self) -> Iterator[list[int]]:
        while True:
            yield self.numbers()


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(1)


def together(pairs: list[Pairs]) -> loop.Batch:
    """Pairs as one batch: four pictures (B, 256, 256, 3) uint8 and landmarks (B, 68, 2)."""
    fields = ("lines", "portrait", "warped", "target", "landmarks")
    tensors = tuple(
        torch.from_numpy(np.concatenate([getattr(one, field) for one in pairs])) for field in fields
    )
    return loop.Batch(tensors, [one.name for one in pairs])


def as_planes(pictures: torch.Tensor) -> torch.Tensor:
    """uint8 (B, H, W, 3) to float32 (B, 3, H, W) in 0-1."""
    return pictures.permute(0, 3, 1, 2).float() / 255


def make(
    network: nn.Module,
    lines: torch.Tensor,
    portrait: torch.Tensor,
    warped: torch.Tensor,
    bfloat16: bool = False,
) -> Made:
    """The frames of a batch (B, 3, H, W in 0-1 each), by a painting or a mending network."""
    seen = [lines, portrait, warped] if network.mends else [lines, portrait]
    pictures = torch.cat(seen, 1).contiguous(memory_format=torch.channels_last)
    with torch.autocast(pictures.device.type, torch.bfloat16, enabled=bfloat16):
        output = network(pictures)
    output = output.float()
    if not network.mends:
        return Made(painted(output), None)
    colours, share = mended(output, warped)
    return Made(warped + share * (colours - warped), share)


def region(landmarks: torch.Tensor, points: slice) -> tuple[torch.Tensor, torch.Tensor]:
    """Centre (B, 2) and half size (B, 2) in pixels of some points, with `ROOM` round them."""
    chosen = landmarks[:, points]
    least, most = chosen.amin(1), chosen.amax(1)
    half = (most - least).amax(1, keepdim=True) / 2
    # A shut mouth or eye is flat; what may open there counts.
    return (least + most) / 2, half * (1 + ROOM) * torch.tensor([1.0, 0.75], device=half.device)


def region_mask(landmarks: torch.Tensor, points: slice, size: int) -> torch.Tensor:
    """1 in the region of some points, falling off softly: (B, 1, size, size)."""
    centre, half = region(landmarks, points)
    pixels = torch.arange(size, device=landmarks.device, dtype=torch.float32)
    apart = (pixels[None, None] - centre[:, :, None]).abs() / half[:, :, None]  # (B, 2, size)
    inside = torch.sigmoid(12 * (1 - apart))
    return (inside[:, 1, :, None] * inside[:, 0, None, :])[:, None]


def mouths(pictures: torch.Tensor, landmarks: torch.Tensor) -> torch.Tensor:
    """The mouths of pictures (B, C, H, W), enlarged to (B, C, MOUTH_SIZE, MOUTH_SIZE)."""
    centre, half = region(landmarks, LIPS)
    size = pictures.shape[-1]
    half = half.amax(1)
    theta = torch.zeros(len(pictures), 2, 3, device=pictures.device)
    theta[:, 0, 0] = theta[:, 1, 1] = 2 * half / size
    theta[:, :, 2] = (2 * centre + 1) / size - 1
    shape = (len(pictures), pictures.shape[1], MOUTH_SIZE, MOUTH_SIZE)
    grid = functional.affine_grid(theta, shape, align_corners=False)
    return functional.grid_sample(
        pictures, grid, padding_mode="border", align_corners=False, mode="bilinear"
    )


def gram(activations: torch.Tensor) -> torch.Tensor:
    """How activations (B, C, H, W) go together: (B, C, C), divided by C H W (Johnson 2016)."""
    flat = activations.float().flatten(2)
    return flat @ flat.transpose(1, 2) / flat[0].numel()


def compared(
    vgg: Vgg19, made: torch.Tensor, true: torch.Tensor, bfloat16: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Perceptual and style loss of pictures (B, 3, H, W) in 0-1."""
    with torch.autocast(made.device.type, torch.bfloat16, enabled=bfloat16):
        seen_made = vgg(made)
        with torch.no_grad():
            seen_true = vgg(true)
    perceptual = style = torch.zeros((), device=made.device)
    for one, other in zip(seen_made, seen_true, strict=True):
        perceptual = perceptual + (one.float() - other.float()).abs().mean()
        style = style + (gram(one) - gram(other)).abs().mean()
    return perceptual, style


def judged(
    judges: nn.ModuleDict,
    frames: torch.Tensor,
    lines: torch.Tensor,
    landmarks: torch.Tensor,
    bfloat16: bool = False,
) -> list[tuple[torch.Tensor, list[torch.Tensor]]]:
    """What the judges of face and mouth say of frames, and what their layers saw."""
    pictures = torch.cat([frames, lines], 1)
    parts = {name: mouths(pictures, landmarks) if name == "mouth" else pictures for name in judges}
    with torch.autocast(frames.device.type, torch.bfloat16, enabled=bfloat16):
        return [judge(parts[name]) for name, judge in judges.items()]


def generator_losses(
    made: Made,
    true: torch.Tensor,
    lines: torch.Tensor,
    landmarks: torch.Tensor,
    options: Options,
    vgg: Vgg19 | None = None,
    judges: nn.ModuleDict | None = None,
) -> dict[str, torch.Tensor]:
    """Losses of a generator's batch by name.

    Args:
        true: target pictures (B, 3, H, W) in 0-1.
        lines: drawn landmarks, likewise.
        landmarks: (B, 68, 2) of the target in pixels.
    """
    size = true.shape[-1]
    mouth = region_mask(landmarks, LIPS, size)
    eyes = region_mask(landmarks, RIGHT_EYE, size) + region_mask(landmarks, LEFT_EYE, size)
    weights = 1 + options.mouth_weight * mouth + options.eye_weight * eyes
    weights = weights / weights.mean()
    parts = {"l1": options.l1_weight * (weights * (made.frame - true).abs()).mean()}
    if made.share is not None and options.share_weight:
        elsewhere = (1 - mouth - eyes).clamp(min=0)
        parts["share"] = options.share_weight * (elsewhere * made.share).mean()
    if vgg is not None:
        perceptual, style = compared(vgg, made.frame, true, options.bfloat16)
        parts["perceptual"] = options.perceptual_weight * perceptual
        parts["style"] = options.style_weight * style
    if judges is not None:
        with torch.no_grad():
            known = judged(judges, true, lines, landmarks, options.bfloat16)
        parts["adversarial"] = parts["matching"] = torch.zeros((), device=true.device)
        for (verdict, seen), (_, wanted) in zip(
            judged(judges, made.frame, lines, landmarks, options.bfloat16), known, strict=True
        ):
            parts["adversarial"] = (
                parts["adversarial"] - options.adversarial_weight * verdict.float().mean()
            )
            for one, other in zip(seen, wanted, strict=True):
                apart = (one.float() - other.float()).abs().mean()
                parts["matching"] = parts["matching"] + options.matching_weight * apart / len(seen)
    return parts


def judge_losses(
    judges: nn.ModuleDict,
    made: torch.Tensor,
    true: torch.Tensor,
    lines: torch.Tensor,
    landmarks: torch.Tensor,
    bfloat16: bool = False,
) -> dict[str, torch.Tensor]:
    """Hinge losses of the judges of face and mouth (Lim and Ye 2017)."""
    both = zip(
        judges,
        judged(judges, true, lines, landmarks, bfloat16),
        judged(judges, made, lines, landmarks, bfloat16),
        strict=True,
    )
    return {
        f"judge_{name}": functional.relu(1 - good.float()).mean()
        + functional.relu(1 + bad.float()).mean()
        for name, (good, _), (bad, _) in both
    }


def train(
    run: runs.Run,
    network: ResUnetGenerator,
    pictures: Pictures,
    held_out: Pictures,
    options: Options,
    vgg: Vgg19 | None = None,
) -> loop.Report:
    """Train; the checkpoints hold the moving average of the weights as ``G``.

    Args:
        held_out: judged at every validation, never trained on.
        vgg: without it there is neither perceptual nor style loss.
    """
    network.to(run.device, memory_format=torch.channels_last)
    average = loop.moving_average(network, EMA_DECAY)
    optimizer = torch.optim.Adam(network.parameters(), options.learning_rate, BETAS)
    learner = loop.Learner(network, optimizer, options.learning_rate, average=average)
    learners = [learner]
    keep = {"G": average.module, "network": network, "average": average, "opt": optimizer}
    judges = None
    if options.judges and (options.adversarial_weight or options.matching_weight):
        judges = nn.ModuleDict(
            {name: PatchDiscriminator(ndf=options.judge_width) for name in options.judges}
        )
        judges.to(run.device)
        judge_optimizer = torch.optim.Adam(judges.parameters(), options.learning_rate, BETAS)
        learners.append(loop.Learner(judges, judge_optimizer, options.learning_rate, name="judges"))
        keep |= {"judges": judges, "judges_opt": judge_optimizer}
    if vgg is not None:
        vgg.to(run.device).eval().requires_grad_(False)
    rng = np.random.default_rng(options.seed)
    maker = PairMaker(pictures, options.num_frames, network.mends, window=options.window)
    fixed = fixed_pairs(held_out, network.mends)

    def step(
        done: int, *tensors: torch.Tensor
    ) -> Iterator[tuple[loop.Learner, dict[str, torch.Tensor]]]:
        lines, portrait, warped, true = map(as_planes, tensors[:4])
        landmarks = tensors[4]
        made = make(network, lines, portrait, warped, options.bfloat16)
        if run.write and options.sheet_every and done % options.sheet_every == 0:
            rows = [portrait, warped, made.frame.detach(), true, lines]
            write_sheet(run.log / f"step_{done:06d}.jpg", [row[:SHEET_ROWS] for row in rows])
        if run.write and options.kept_every and done and done % options.kept_every == 0:
            runs.save_run(
                run.folder / f"ckpt_{done:06d}.pth",
                G=average.module.state_dict(),
                config=network.config,
            )
        ramp = (done / run.steps - SHARE_FREE) / (SHARE_FULL - SHARE_FREE)
        now = replace(options, share_weight=options.share_weight * min(max(ramp, 0.0), 1.0))
        yield learner, generator_losses(made, true, lines, landmarks, now, vgg, judges)
        if judges is not None:
            frames = made.frame.detach()
            yield (
                learners[1],
                judge_losses(judges, frames, true, lines, landmarks, options.bfloat16),
            )

    sheet: list[torch.Tensor] = []

    def judge_average() -> dict[str, float]:
        scores, sheet[:] = validate(average.module, fixed, run.device)
        if run.write:
            write_sheet(run.log / "held_out.jpg", [row[:SHEET_ROWS] for row in sheet])
        return scores

    def show(writer: Any, done: int) -> None:
        picture = side_by_side([row[:SHEET_ROWS] for row in sheet])
        writer.add_image("held_out", picture[..., ::-1], done, dataformats="HWC")

    return loop.train(
        run,
        learners,
        Drawn(maker, options, rng),
        {"rng": rng},
        step,
        judge_average,
        keep,
        extra={"config": network.config},
        score=lambda scores: scores["l1"],
        lowest=True,
        show=show,
    )


def fixed_pairs(held_out: Pictures, mends: bool) -> tuple[torch.Tensor, ...]:
    """The pairs that a network is judged on, as tensors of `together`."""
    maker = PairMaker(held_out, 1, mends=mends, plain=True)
    return together([maker(number) for number in range(JUDGED_PAIRS)]).tensors


def judge(network: nn.Module, held_out: Pictures, device: torch.device) -> dict[str, float]:
    """The scores of `validate` on held-out pictures."""
    return validate(network, fixed_pairs(held_out, network.mends), device)[0]


def validate(
    network: nn.Module, tensors: tuple[torch.Tensor, ...], device: torch.device
) -> tuple[dict[str, float], list[torch.Tensor]]:
    """Judge a network, which is put in eval mode, on pairs.

    Args:
        tensors: of `together`.

    Returns:
        Mean absolute error (0-1), peak signal-to-noise ratio in dB, the same within the mouth, and
        the warped portrait's for comparison; and the rows of a sheet: portrait, warped, made, true.
    """
    network.eval()
    rows, made = [], []
    with torch.inference_mode():
        for start in range(0, len(tensors[0]), 8):
            planes = [as_planes(x[start : start + 8].to(device)) for x in tensors[:4]]
            made.append(make(network, *planes[:3]).frame)
            rows.append(planes)
        _, portrait, warped, true = (torch.cat(row) for row in zip(*rows, strict=True))
        frame = torch.cat(made)
        mouth = region_mask(tensors[4].to(device), LIPS, true.shape[-1]).expand_as(true)
        scores = {"l1": (frame - true).abs().mean().item()}
        for name, one in (("", frame), ("warped_", warped)):
            error = (one - true).square()
            scores[f"{name}psnr"] = decibels(error.mean((1, 2, 3)))
            scores[f"{name}mouth_psnr"] = decibels(
                (mouth * error).sum((1, 2, 3)) / mouth.sum((1, 2, 3))
            )
    return scores, [portrait, warped, frame, true]


def decibels(errors: torch.Tensor) -> float:
    """Mean peak signal-to-noise ratio of mean square errors (B,) of pictures in 0-1."""
    return (-10 * torch.log10(errors.clamp(min=1e-10))).mean().item()


def side_by_side(columns: list[torch.Tensor]) -> np.ndarray:
    """Pictures (B, 3, H, W) in 0-1, given by columns, as one: uint8 (B H, columns W, 3)."""
    rows = torch.cat([column.float() for column in columns], 3)
    picture = torch.cat(list(rows), 1).clamp(0, 1).permute(1, 2, 0)
    return (255 * picture).round().to(torch.uint8).cpu().numpy()


def write_sheet(path: Path, columns: list[torch.Tensor]) -> None:
    """Write pictures (B, 3, H, W) in 0-1, given by columns, side by side as one picture."""
    encoded = cv2.imencode(path.suffix, side_by_side(columns))[1]
    replace_file(path, lambda file: file.write(encoded.tobytes()))


def find_vgg(path: Path | None) -> Vgg19 | None:
    """VGG-19 with torchvision's weights: from a file, PyTorch's cache, or through torchvision.

    Where they cannot be had, a line says that the terms are off.

    Raises:
        InputError: the given file is none of it.
    """
    if path is None:
        path = Path(torch.hub.get_dir()) / "checkpoints" / VGG_FILE
        if not path.is_file():
            try:
                from torchvision.models import VGG19_Weights

                VGG19_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
            except (ImportError, OSError, RuntimeError) as error:
                reason = str(error).splitlines()[0]
                _log.warning(
                    "no weights of VGG-19 (%s; %s is not there): the perceptual and the style loss "
                    "are off",
                    reason,
                    path,
                )
                return None
    vgg = Vgg19()
    contents, _ = read_checkpoint(path)
    wanted = vgg.state_dict()
    load_weights(vgg, {key: value for key, value in contents.items() if key in wanted}, path)
    return vgg
