"""The paper's renderer: the image-translation network (section 4.4) inside a square crop.

The published network generates the face from the drawn landmarks and the portrait. A refinement
network also sees the portrait already warped to the landmarks; its residual is blended into the
warped frame by the alpha mask that it predicts, so that the rest keeps the portrait's resolution.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch.nn import functional

from src.face.crop import FaceCrop, cut, face_crop
from src.face.geometry import slim_lips_widen_eyes
from src.face.topology import LIPS, RIGHT_BROW
from src.models.dimensions import IMAGE_SIZE
from src.models.image_translation import ResUnetGenerator, generated_frame, refinement
from src.render.compositing import CropRegion, DeviceCompositor, paste, rectangle_fade
from src.render.landmark_image import landmark_image
from src.render.renderer import Renderer
from src.render.warp.plane import Box
from src.render.warp.portrait import WarpRenderer

REFINED_POINTS = slice(RIGHT_BROW.start, LIPS.stop)
"""Landmarks around which a refinement network has something to refine: all but the jaw."""

WINDOW_MARGIN = 20
"""Pixels of the crop around them that the network sees, too."""

WINDOW_FADE = 8
"""Pixels over which the refinement fades out at the window's border."""

BATCH = {"cpu": 4, "cuda": 32}
"""Frames that go through the network at once, by type of device."""

FRAME_BYTES = 256 * 2**20
"""Limit of the memory for frames in progress, about; large ones go in smaller batches."""

_OTHER_BATCHES = 3  # being drawn and warped, or handed out, beside those in the network
_MAX_STREAMS = {"cpu": 4, "cuda": 2}  # batches in the network at once; each takes memory
_MAX_WARPERS = 8  # threads that draw and warp; more wait for each other's Python

WHOLE_CROP = Box(0, 0, IMAGE_SIZE, IMAGE_SIZE)

Item = TypeVar("Item")
Result = TypeVar("Result")


def refinement_window(points: np.ndarray, multiple: int) -> Box:
    """The smallest window of the crop around points, with a margin.

    Args:
        points: (N, 2) in pixels of the crop, of all frames.
        multiple: its sides are multiples of this, as the network's levels need.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    size = multiple * np.ceil((high - low + 2 * WINDOW_MARGIN) / multiple)
    size = np.minimum(size, IMAGE_SIZE).astype(int)
    corner = np.round((low + high - size) / 2).clip(0, IMAGE_SIZE - size).astype(int)
    return Box(*corner.tolist(), *(corner + size).tolist())


class UNetRenderer(Renderer):
    """Renders a portrait's face with a network that sees a crop of 256 pixels.

    A refinement network sees only the window of the crop around brows, eyes and mouth: of a head
    that moves little, less than half of the pixels. Frames are warped, go through the network and
    are composited in threads, while the caller encodes those before.

    Args:
        image: the portrait, uint8 BGR (H, W, 3).
        landmarks: (68, >= 2) of the portrait in its pixels.
        network: in eval mode on `device`, as loaded or from `src.models.folding.for_inference`.
        device: where the network is.
        crop: the square that the network sees; `face_crop(landmarks)` by default.
        batch: frames at once; by default as the device allows.
    """

    def __init__(
        self,
        image: np.ndarray,
        landmarks: np.ndarray,
        network: ResUnetGenerator,
        device: torch.device | str = "cpu",
        crop: FaceCrop | None = None,
        batch: int | None = None,
    ) -> None:
        self.network = network
        self.image = image
        self.crop = crop or face_crop(landmarks)
        self.device = torch.device(device)
        max_frames = max(1, FRAME_BYTES // image.nbytes)
        batch = batch or BATCH.get(self.device.type, 1)
        self.batch = min(batch, max(1, max_frames // (_OTHER_BATCHES + 1)))
        max_batches = max(1, max_frames // self.batch - _OTHER_BATCHES)
        self.streams = min(_MAX_STREAMS.get(self.device.type, 1), max_batches)
        self.warper = WarpRenderer(image, landmarks) if network.config.mends else None
        self._dtype = next((weight.dtype for weight in network.parameters()), torch.float32)
        self._portrait = self._tensor(cut(image, self.crop)[None])
        self._compositor = None
        # float32 asks for the release's numbers, which only `paste` gives on every device.
        if self.device.type == "cuda" and self._dtype != torch.float32:
            region = CropRegion.of(image, self.crop)
            self._compositor = region and DeviceCompositor(region, self.device)

    def adapt_landmarks(self, landmarks: np.ndarray) -> np.ndarray:
        """Slim the lips and widen the eyes of the still landmarks (68, 3), as the release does.

        A network that generates the face was trained on such faces; a refinement network was not.
        """
        if self.network.config.mends:
            return landmarks
        return slim_lips_widen_eyes(landmarks, self.crop.size / IMAGE_SIZE)

    def frames(self, landmarks: np.ndarray) -> Iterator[np.ndarray]:
        """Render landmarks (T, 68, >= 2) in pixels of the portrait, one frame at a time.

        Close the generator where it is not read to its end; its threads end with it.

        Yields:
            uint8 BGR (H, W, 3), as large as the portrait.
        """
        threads = torch.get_num_threads()
        # On a CPU each batch has its own cores: quicker than all cores for one batch, and a core
        # that is busy elsewhere delays only one. A GPU has work while a batch is fetched from it.
        streams = min(self.streams, threads) if self.device.type == "cpu" else self.streams
        threads_each = max(1, threads // streams)
        window = WHOLE_CROP
        if self.warper is not None and len(landmarks):
            points = self.crop.to_crop(landmarks)[:, REFINED_POINTS, :2].reshape(-1, 2)
            window = refinement_window(points, 2**self.network.config.num_downs)
        # float32 gets CUDA's search for the fastest kernels, as all inputs have one size, but no
        # TF32; 16 bits have neither TF32 nor the time for a search before a short video.
        exact = torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False)
        with (
            exact if self._dtype == torch.float32 else contextlib.nullcontext(),
            thread_pool(min(threads, _MAX_WARPERS), threads_each) as warping,
            thread_pool(streams, threads_each) as translating,
        ):
            inputs = in_order(warping, partial(self._inputs, window), landmarks, 2 * self.batch)
            batches = iter(lambda: list(itertools.islice(inputs, self.batch)), [])
            translated = in_order(translating, partial(self._translate, window), batches, streams)
            yield from itertools.chain.from_iterable(translated)

    def _inputs(self, window: Box, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The image below the network's output, and the network's input besides the portrait.

        Args:
            landmarks: (68, >= 2) in pixels of the portrait.

        Returns:
            uint8 (H, W, 3), and of the window (., ., 3) drawn landmarks or, for a refinement
            network, (., ., 6) drawn landmarks and warped portrait.
        """
        in_crop = self.crop.to_crop(landmarks)
        if self.warper is None:
            return self.image, landmark_image(in_crop)
        warped = self.warper.render(landmarks)
        drawn = landmark_image(in_crop, antialiased=True)
        both = np.concatenate([drawn, cut(warped, self.crop)], axis=-1)
        return warped, both[window.slices(WHOLE_CROP)]

    def _translate(
        self, window: Box, inputs: list[tuple[np.ndarray, np.ndarray]]
    ) -> list[np.ndarray]:
        """The frames of a batch, from what `_inputs` returned for each."""
        images = [image for image, _ in inputs]
        with torch.inference_mode():
            seen = self._tensor(np.stack([seen for _, seen in inputs]))
            drawn, warped = seen[:, :3], seen[:, 3:]
            rows, columns = window.slices(WHOLE_CROP)
            portrait = self._portrait[:, :, rows, columns].expand(len(inputs), -1, -1, -1)
            output = self.network(torch.cat([drawn, portrait, warped], dim=1).to(self._dtype))
            if self.warper is None:
                content, alpha = generated_frame(output.float()), None
            else:
                content, alpha = refinement(output.float(), warped)
                whole = WHOLE_CROP.size
                _, fade = rectangle_fade(window[:2], window.size, whole, WINDOW_FADE)
                alpha = alpha * torch.from_numpy(fade).to(alpha.device)
                right, bottom = IMAGE_SIZE - window.right, IMAGE_SIZE - window.bottom
                margins = (window.left, right, window.top, bottom)
                content, alpha = (functional.pad(part, margins) for part in (content, alpha))
            if self._compositor is not None:
                return self._compositor(images, content, alpha)
            faces = (content * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
            alphas = [None] * len(inputs) if alpha is None else alpha[:, 0].cpu().numpy()
        return [
            paste(image, self.crop, face, alpha)
            for image, face, alpha in zip(images, faces, alphas, strict=True)
        ]

    def _tensor(self, images: np.ndarray) -> torch.Tensor:
        """uint8 (B, H, W, C) as float32 (B, C, H, W) in 0-1 on the device."""
        tensor = torch.from_numpy(np.ascontiguousarray(images)).to(self.device)
        return tensor.permute(0, 3, 1, 2).float() / 255


def in_order(
    pool: ThreadPoolExecutor,
    function: Callable[[Item], Result],
    items: Iterable[Item],
    ahead: int,
) -> Iterator[Result]:
    """Like `map`, computed by a pool up to `ahead` results before they are asked for.

    No more than `ahead` + 1 items are taken from `items` beyond what has been handed out.
    """
    pending = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


@contextlib.contextmanager
def thread_pool(workers: int, threads_each: int) -> Iterator[ThreadPoolExecutor]:
    """Threads with `threads_each` of PyTorch's own; pending work is dropped at the end."""
    pool = ThreadPoolExecutor(
        workers, "render", initializer=torch.set_num_threads, initargs=(threads_each,)
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        # What a thread sets holds for all that start later, too.
        torch.set_num_threads(torch.get_num_threads())
