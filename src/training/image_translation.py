"""Training of image translation (paper, 4.4): landmark image and portrait to a frame."""

from __future__ import annotations

import copy
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from src.data.packed_faces import PackedFaces
from src.face.topology import LIPS
from src.io.files import atomic_write
from src.models.image_translation import ResUnetGenerator, generated_frame, refinement
from src.models.patch_discriminator import PatchDiscriminator
from src.training import checkpoints, loop, parallel
from src.training.losses import weighted_losses
from src.training.losses.image_translation import (
    LOSSES,
    TranslationBatch,
    discriminator_losses,
    load_vgg,
    region_mask,
)
from src.training.pairs import PairMaker, Pairs
from src.training.settings import ImageTranslationTraining

BETAS = (0.5, 0.999)  # of Adam (paper)
EMA_DECAY = 0.999
# Fractions of a training between which the weight of the alpha loss rises from 0 to its value: a
# network with this loss from the start never learns to change anything.
ALPHA_START, ALPHA_FULL = 0.3, 0.6
VALIDATION_PAIRS = 32
VALIDATION_BATCH = 8
SHEET_ROWS = 8


def train(
    settings: ImageTranslationTraining,
    device: torch.device,
    network: ResUnetGenerator,
    images: PackedFaces,
    held_out: PackedFaces,
) -> None:
    """Train; the checkpoints hold the moving average of the weights as ``G``.

    Args:
        held_out: images to validate on.

    Raises:
        InputError: as ``loop.train``, or ``settings.vgg`` is not such a file.
    """
    epoch = -(-len(images.landmarks) // settings.batch_size)  # steps
    if settings.nepoch:
        settings = replace(settings, steps=settings.nepoch * epoch)
    mends = network.config.mends
    network.to(device, memory_format=torch.channels_last)
    average = loop.moving_average(network, EMA_DECAY)
    rate, rng = settings.learning_rate, np.random.default_rng(settings.seed)
    optimizer = torch.optim.Adam(network.parameters(), rate, BETAS)
    trained = [loop.TrainedNetwork(network, optimizer, average=average)]
    contents = {"G": average.module, "network": network, "average": average, "opt": optimizer}
    contents |= {"rng": rng, "config": network.config}
    vgg = discriminators = None
    if settings.perceptual_weight or settings.style_weight:
        vgg = load_vgg(settings.vgg)
    if vgg is not None:
        vgg.to(device)
    else:
        settings = replace(settings, perceptual_weight=0.0, style_weight=0.0)
    if settings.discriminators and (settings.adversarial_weight or settings.matching_weight):
        discriminators = nn.ModuleDict(
            {name: PatchDiscriminator(ndf=settings.ndf) for name in settings.discriminators}
        ).to(device)
        adam = torch.optim.Adam(discriminators.parameters(), rate, BETAS)
        trained.append(loop.TrainedNetwork(discriminators, adam, suffix="_discriminators"))
        contents |= {"judges": discriminators, "judges_opt": adam}
    else:
        settings = replace(settings, adversarial_weight=0.0, matching_weight=0.0)
    writing = settings.write and parallel.rank() == 0
    kept_every = settings.ckpt_epoch_freq * epoch  # steps
    bfloat16 = settings.bfloat16 or device.type == "cuda"
    maker = PairMaker(images, settings.num_frames, mends, window=settings.window)
    fixed = validation_pairs(held_out, mends)

    def step(done, *tensors) -> loop.Steps:
        drawn, portraits, warped, truth = map(to_float, tensors[:4])
        predicted, alpha = predict(network, drawn, portraits, warped, bfloat16)
        if writing and settings.jpg_freq and done % settings.jpg_freq == 0:
            columns = [portraits, warped, predicted.detach(), truth, drawn]
            write_sheet(settings.log_folder / f"step_{done:06d}.jpg", columns)
        if writing and kept_every and done and done % kept_every == 0:
            path = settings.checkpoint_folder / f"ckpt_{done:06d}.pth"
            checkpoints.save_checkpoint(path, G=average.module, config=network.config)
        batch = TranslationBatch(
            predicted,
            alpha,
            truth,
            drawn,
            landmarks=tensors[4],
            mouth_weight=settings.mouth_weight,
            eye_weight=settings.eye_weight,
            bfloat16=bfloat16,
            vgg=vgg,
            discriminators=discriminators,
        )
        ramp = (done / settings.steps - ALPHA_START) / (ALPHA_FULL - ALPHA_START)
        weight = settings.alpha_weight * min(max(ramp, 0.0), 1.0) if mends else 0.0
        yield trained[0], weighted_losses(LOSSES, replace(settings, alpha_weight=weight), batch)
        if discriminators is not None:
            yield trained[1], discriminator_losses(batch)

    sheet = settings.log_folder / "held_out.jpg" if settings.write else None
    loop.train(
        settings,
        device,
        trained,
        batches(maker, settings, rng).__next__,
        step,
        lambda: validate(average.module, fixed, device, sheet),
        contents,
        score=lambda scores: scores["l1"],
        lowest=True,
    )


def to_float(images: torch.Tensor) -> torch.Tensor:
    """uint8 (B, H, W, 3) to float32 (B, 3, H, W) in 0-1."""
    return images.permute(0, 3, 1, 2).float() / 255


def predict(
    network: ResUnetGenerator,
    drawn: torch.Tensor,
    portraits: torch.Tensor,
    warped: torch.Tensor,
    bfloat16: bool = False,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Predict frames (B, 3, H, W) in 0-1 from landmark images, portraits and warped portraits.

    Returns:
        The frames, and the alpha mask (B, 1, H, W) of a refinement network.
    """
    inputs = [drawn, portraits, warped] if network.config.mends else [drawn, portraits]
    stacked = torch.cat(inputs, 1).contiguous(memory_format=torch.channels_last)
    with torch.autocast(stacked.device.type, torch.bfloat16, enabled=bfloat16):
        output = network(stacked)
    output = output.float()
    if not network.config.mends:
        return generated_frame(output), None
    colours, alpha = refinement(output, warped)
    return warped + alpha * (colours - warped), alpha


def validation_pairs(held_out: PackedFaces, refine: bool) -> tuple[torch.Tensor, ...]:
    """The pairs that a network is validated on, as tensors of `collate`."""
    maker = PairMaker(held_out, 1, refine, augment=False)
    return collate([maker[number] for number in range(VALIDATION_PAIRS)]).tensors


def validate(
    network: ResUnetGenerator,
    tensors: tuple[torch.Tensor, ...],
    device: torch.device,
    sheet: Path | None = None,
) -> dict[str, float]:
    """Compare a network's frames, in eval mode, with the ground truth.

    Args:
        tensors: of `validation_pairs`.
        sheet: image to write: portraits, warped portraits, predicted frames, ground truth.

    Returns:
        Mean absolute error (0-1), peak signal-to-noise ratio in dB, the same of the mouth, and
        those of the warped portrait.
    """
    network.eval()
    drawn, portraits, warped, truth = (to_float(images.to(device)) for images in tensors[:4])
    inputs = (images.split(VALIDATION_BATCH) for images in (drawn, portraits, warped))
    with torch.inference_mode():
        predicted = torch.cat([predict(network, *x)[0] for x in zip(*inputs, strict=True)])
    mouth = region_mask(tensors[4].to(device), LIPS, truth.shape[-1]).expand_as(truth)
    scores = {"l1": (predicted - truth).abs().mean().item()}
    for name, images in (("", predicted), ("warped_", warped)):
        error = (images - truth).square()
        scores[f"{name}psnr"] = decibels(error.mean((1, 2, 3)))
        mouth_error = (mouth * error).sum((1, 2, 3)) / mouth.sum((1, 2, 3))
        scores[f"{name}mouth_psnr"] = decibels(mouth_error)
    if sheet is not None:
        write_sheet(sheet, [portraits, warped, predicted, truth])
    return scores


def decibels(errors: torch.Tensor) -> float:
    """Mean peak signal-to-noise ratio of mean squared errors (B,) of images in 0-1."""
    return (-10 * torch.log10(errors.clamp(min=1e-10))).mean().item()


def write_sheet(path: Path, columns: list[torch.Tensor]) -> None:
    """Write the first ``SHEET_ROWS`` images (B, 3, H, W) in 0-1 of each column as one image."""
    rows = torch.cat([column[:SHEET_ROWS].float() for column in columns], 3)
    image = torch.cat(list(rows), 1).clamp(0, 1).permute(1, 2, 0)
    with atomic_write(path) as partial:
        cv2.imwrite(str(partial), (255 * image).round().to(torch.uint8).cpu().numpy())


def collate(pairs: list[Pairs]) -> loop.Batch:
    """Batch of the arrays of pairs, (B, ...) each."""
    *fields, names = zip(*pairs, strict=True)
    tensors = (torch.from_numpy(np.concatenate(arrays)) for arrays in fields)
    return loop.Batch(tuple(tensors), list(names))


def batches(
    maker: PairMaker, settings: ImageTranslationTraining, rng: np.random.Generator
) -> Iterator[loop.Batch]:
    """Yield this process's part of batches of pairs, made ahead by other processes, without end.

    The numbers of pairs come from `rng`. The data loader reads ahead from a copy of it, and `rng`
    itself advances as batches are yielded, so that its state is that of the next batch.
    """
    own = parallel.own(settings.batch_size)

    def numbers(generator: np.random.Generator) -> list[int]:
        return generator.integers(2**62, size=settings.batch_size)[own].tolist()

    ahead, context = copy.deepcopy(rng), None
    if settings.num_workers:
        # Inherited by the workers, which are four times as slow with as many threads as cores.
        for library in ("OMP", "OPENBLAS", "MKL"):
            os.environ[f"{library}_NUM_THREADS"] = "1"
        # A fork of this process, which has threads, could deadlock.
        context = multiprocessing.get_context("forkserver")
        # Workers start one after the other; each would wait for the imports of all before it.
        context.set_forkserver_preload(["torch", "cv2"])
    for batch in torch.utils.data.DataLoader(
        maker,
        batch_sampler=iter(lambda: numbers(ahead), None),  # endless
        num_workers=settings.num_workers,
        collate_fn=collate,
        worker_init_fn=_use_one_thread,
        multiprocessing_context=context,
        prefetch_factor=4 if context else None,
    ):
        numbers(rng)
        yield batch


def _use_one_thread(_worker: int) -> None:
    cv2.setNumThreads(1)
