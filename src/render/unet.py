"""The paper's renderer: drawn landmarks and a portrait go through the image-translation network.

A painting network sees both and paints the face. A mending one also sees the portrait already
warped to the landmarks (`src.render.warp.portrait`); what it changes is laid over the warped frame,
so that all the rest keeps the portrait's own resolution.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeVar

import numpy as np
import torch
from torch.nn import functional

from src.face.crop import CROP_SIZE, FaceCrop, cut
from src.face.topology import LIPS, RIGHT_BROW
from src.models.image_translation import ResUnetGenerator, mended, painted
from src.render.crop import Place, edge_fade, paste
from src.render.landmark_image import landmark_picture, smooth_landmark_picture
from src.render.warp.portrait import PortraitRenderer

WHITE = 255.0

MENDED = slice(RIGHT_BROW.start, LIPS.stop)
"""Points round which a mending network has something to mend: all but the jaw."""
WINDOW_MARGIN = 20
"""Pixels of the crop round them that the network sees, too."""
WINDOW_FADE = 8
"""Pixels over which what is mended fades out at the window's border."""
BATCH = {"cpu": 4, "cuda": 32}
"""Frames that go through the network at once, by kind of device."""

FRAME_BYTES = 256 * 2**20
"""Of the frames that are on their way at one time, about; large ones go in smaller batches."""

# Batches that are drawn and warped, or handed out, beside those in the network.
_OTHER_BATCHES = 3
# Batches in the network at once. Each takes memory, and on a device they share one queue.
_MOST_STREAMS = {"cpu": 4, "cuda": 2}
# Threads that draw and warp; more wait for each other's Python.
_MOST_WARPERS = 8

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Window:
    """The part of the crop that a network sees; all of it but where a mending one has no use."""

    rows: slice
    columns: slice

    @classmethod
    def about(cls, points: np.ndarray, step: int) -> Window:
        """The smallest window round points, with a margin, whose sides are multiples of a step.

        Args:
            points: (..., 2) in pixels of the crop that are to lie in it, of all frames.
            step: what a network's levels ask of the sides.
        """
        least, most = (side(points.reshape(-1, 2), axis=0) for side in (np.min, np.max))
        spans = []
        for low, high in zip(least, most, strict=True):
            wanted = high - low + 2 * WINDOW_MARGIN
            length = min(CROP_SIZE, step * int(np.ceil(wanted / step)))
            start = int(np.clip(round((low + high - length) / 2), 0, CROP_SIZE - length))
            spans.append(slice(start, start + length))
        return cls(spans[1], spans[0])

    @cached_property
    def fade(self) -> np.ndarray:
        """(rows, columns) float32 0-1: 1 inside, 0 at sides that are not the crop's own."""
        down, across = (
            edge_fade(part.start, part.stop - part.start, CROP_SIZE, WINDOW_FADE)[1]
            for part in (self.rows, self.columns)
        )
        return (down[:, None] * across[None, :]).astype(np.float32)

    def in_crop(self, part: torch.Tensor) -> torch.Tensor:
        """(B, C, rows, columns) laid into the crop, (B, C, 256, 256), with zeros round it."""
        rows, columns = self.rows, self.columns
        sides = (columns.start, CROP_SIZE - columns.stop, rows.start, CROP_SIZE - rows.stop)
        return functional.pad(part, sides)


WHOLE = Window(slice(0, CROP_SIZE), slice(0, CROP_SIZE))


class TranslationRenderer:
    """Renders a portrait's face with a network that sees a square of 256 pixels.

    A mending network sees only the part of the square round brows, eyes and mouth: of a head that
    moves little, less than half of the pixels.

    Frames are warped, go through the network and are composited in threads, while the caller
    encodes those before.

    Args:
        network: in eval mode, on `device`, of whatever numbers: as loaded, or made quick by
            `src.models.folding.for_inference`.
        picture: the portrait, uint8 BGR (H, W, 3).
        crop: the square of it that the network sees and what it makes is pasted into.
        device: where the network is.
        batch: frames at once; by the device where None.
        landmarks: (68, 2 or 3) of the portrait in its pixels, which a mending network needs.

    Raises:
        ValueError: a mending network without landmarks.
    """

    def __init__(
        self,
        network: ResUnetGenerator,
        picture: np.ndarray,
        crop: FaceCrop,
        device: torch.device | str = "cpu",
        batch: int | None = None,
        landmarks: np.ndarray | None = None,
    ) -> None:
        self.network = network
        self.picture = picture
        self.crop = crop
        self.device = torch.device(device)
        kind = self.device.type
        most_frames = max(1, FRAME_BYTES // picture.nbytes)
        self.batch = batch or BATCH.get(kind, 1)
        self.batch = min(self.batch, max(1, most_frames // (_OTHER_BATCHES + 1)))
        most_batches = max(1, most_frames // self.batch - _OTHER_BATCHES)
        self.streams = min(_MOST_STREAMS.get(kind, 1), most_batches)
        self.warper = None
        if network.mends:
            if landmarks is None:
                raise ValueError("a mending network needs the portrait's landmarks")
            self.warper = PortraitRenderer(picture, landmarks)
        self._dtype = next((weight.dtype for weight in network.parameters()), torch.float32)
        self._portrait = self._tensor(cut(picture, crop)[None])
        self._compositor = None
        # 32-bit numbers are asked for where the release's are to be met, on every device alike.
        if self.device.type == "cuda" and self._dtype != torch.float32:
            place = Place.of(picture, crop)
            self._compositor = place and Compositor(place, self.device)

    def frames(self, landmarks: np.ndarray) -> Iterator[np.ndarray]:
        """The portrait with its face moved, frame by frame.

        Close the generator where it is not read to its end; its threads end with it.

        Args:
            landmarks: (T, 68, 2 or 3) in pixels of the portrait.

        Yields:
            uint8 BGR (H, W, 3) as large as the portrait.
        """
        threads = torch.get_num_threads()
        # On a processor each batch has its own cores: quicker than all of them at one, and a core
        # that is busy elsewhere stops only one. A device has work while a batch is fetched from it.
        streams = min(self.streams, threads) if self.device.type == "cpu" else self.streams
        threads_each = max(1, threads // streams)
        # Those of 16 bits have neither TF32 nor the time for a search before a short video.
        exact = self._dtype == torch.float32
        window = WHOLE
        if self.warper is not None and len(landmarks):
            points = self.crop.to_crop(landmarks)[:, MENDED, :2]
            window = Window.about(points, 2 ** self.network.config["num_downs"])
        look, translate = (partial(part, window) for part in (self._seen, self._translated))
        with (
            exact_convolutions() if exact else contextlib.nullcontext(),
            thread_pool(min(threads, _MOST_WARPERS), threads_each) as warping,
            thread_pool(streams, threads_each) as translating,
        ):
            seen = in_order(warping, look, landmarks, 2 * self.batch)
            groups = iter(lambda: list(itertools.islice(seen, self.batch)), [])
            made = in_order(translating, translate, groups, streams)
            yield from itertools.chain.from_iterable(made)

    def _seen(self, window: Window, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the network's picture is laid over, and what it sees besides the portrait.

        Args:
            landmarks: (68, 2 or 3) in pixels of the portrait.

        Returns:
            uint8 (H, W, 3), and of the window (., ., 3) drawn landmarks or, for a mending network,
            (., ., 6) drawn landmarks and warped portrait.
        """
        in_crop = self.crop.to_crop(landmarks)
        if self.warper is None:
            return self.picture, landmark_picture(in_crop, CROP_SIZE)
        warped = self.warper.render(landmarks)
        drawn = smooth_landmark_picture(in_crop, CROP_SIZE)
        whole = np.concatenate([drawn, cut(warped, self.crop)], axis=-1)
        return warped, whole[window.rows, window.columns]

    def _translated(
        self, window: Window, seen: list[tuple[np.ndarray, np.ndarray]]
    ) -> list[np.ndarray]:
        """The frames of a batch, from what `_seen` says of each."""
        beneath = [picture for picture, _ in seen]
        with torch.inference_mode():
            inputs = self._tensor(np.stack([pictures for _, pictures in seen]))
            drawn, warped = inputs[:, :3], inputs[:, 3:]
            portrait = self._portrait[:, :, window.rows, window.columns]
            portrait = portrait.expand(len(seen), -1, -1, -1)
            output = self.network(torch.cat([drawn, portrait, warped], dim=1).to(self._dtype))
            if self.warper is None:
                colours, share = painted(output.float()), None
            else:
                colours, share = mended(output.float(), warped)
                share = share * torch.from_numpy(window.fade).to(share.device)
                colours, share = window.in_crop(colours), window.in_crop(share)
            if self._compositor is not None:
                return self._compositor(beneath, colours, share)
            faces = (colours * WHITE).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
            shares = [None] * len(seen) if share is None else share[:, 0].cpu().numpy()
        return [
            paste(picture, self.crop, face, of_it)
            for picture, face, of_it in zip(beneath, faces, shares, strict=True)
        ]

    def _tensor(self, pictures: np.ndarray) -> torch.Tensor:
        """uint8 (B, H, W, C) as float32 (B, C, H, W) in 0-1 on the device."""
        tensor = torch.from_numpy(np.ascontiguousarray(pictures)).to(self.device)
        return tensor.permute(0, 3, 1, 2).float() / WHITE


class Compositor:
    """Does for many pictures on a device what `src.render.crop.paste` does for one.

    Args:
        place: where the crop's content goes.
    """

    def __init__(self, place: Place, device: torch.device) -> None:
        self.place = place
        self.fade = torch.from_numpy(place.fade).to(device)
        self.rows, self.columns = (torch.from_numpy(w).to(device) for w in place.weights())

    def __call__(
        self, beneath: list[np.ndarray], colours: torch.Tensor, share: torch.Tensor | None
    ) -> list[np.ndarray]:
        """Pictures with the crop's content laid over.

        Args:
            beneath: uint8 (H, W, 3) each, left as they are.
            colours: (B, 3, 256, 256) in 0-1 on the device.
            share: (B, 1, 256, 256) in 0-1; all of the colours count where None.
        """
        where = self.place.rows, self.place.columns
        regions = torch.from_numpy(np.stack([picture[where] for picture in beneath]))
        regions = regions.to(colours.device).permute(0, 3, 1, 2).float()
        weight = self.fade
        if share is not None:
            weight = weight * self._enlarged(share).clamp(0, 1)
        content = self._enlarged(colours).clamp(0, 1) * WHITE
        whole = torch.lerp(regions, content, weight.expand_as(regions)).round().to(torch.uint8)
        whole = whole.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        frames = [picture.copy() for picture in beneath]
        for frame, region in zip(frames, whole, strict=True):
            frame[where] = region
        return frames

    def _enlarged(self, content: torch.Tensor) -> torch.Tensor:
        return self.rows @ content @ self.columns.T


def in_order(
    pool: ThreadPoolExecutor,
    function: Callable[[Item], Result],
    items: Iterable[Item],
    ahead: int,
) -> Iterator[Result]:
    """Like `map`, computed by a pool up to `ahead` results before they are asked for.

    No more than `ahead` + 1 items are taken from `items` beyond what has been handed out.
    """
    waiting = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


@contextlib.contextmanager
def thread_pool(workers: int, threads_each: int) -> Iterator[ThreadPoolExecutor]:
    """Threads, each with so many of PyTorch's own; at the end what still waits is dropped."""
    pool = ThreadPoolExecutor(
        workers, "render", initializer=torch.set_num_threads, initargs=(threads_each,)
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        # What a thread sets holds for all that start later, too.
        torch.set_num_threads(torch.get_num_threads())


@contextlib.contextmanager
def exact_convolutions() -> Iterator[None]:
    """CUDA's fast search for kernels, since all pictures have one size, but no TF32."""
    before = (torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32)
    torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = True, False
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = before
