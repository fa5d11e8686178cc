"""The paper's renderer: the image-translation network (section 4.4) inside a square crop.

The published network generates the face from the drawn landmarks and the portrait. A refinement
network also sees the portrait already warped to the landmarks; its residual is blended into the
warped frame by the alpha mask that it predicts, so that the rest keeps the portrait's resolution.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch

from src.face.crop import FaceCrop, cut, face_crop
from src.face.geometry import slim_lips_widen_eyes
from src.face.topology import LIPS, RIGHT_BROW
from src.models.dimensions import IMAGE_SIZE
from src.models.image_translation import ResUnetGenerator, generated_frame, refinement
from src.render.compositing import WHOLE_CROP, Compositor, DeviceCompositor
from src.render.landmark_image import landmark_image
from src.render.renderer import Renderer
from src.render.warp.plane import Box
from src.render.warp.portrait import WarpRenderer

REFINED_POINTS = slice(RIGHT_BROW.start, LIPS.stop)
"""Landmarks around which a refinement network has something to refine: all but the jaw."""

WINDOW_MARGIN = 20
"""Margin in pixels of the crop around them in the network's input."""

WINDOW_FEATHER = 8
"""Pixels over which the refinement fades out at the window's border."""

BATCH = {"cpu": 4, "cuda": 32}
"""Frames that go through the network at once, by type of device."""

STREAMS = {"cpu": 4, "cuda": 2}
"""Batches in the network at once, each of which takes memory.

On a CPU each has its own cores: quicker than all cores for one batch, and a core that is busy
elsewhere delays only one. A GPU has work while a batch is fetched from it.
"""

FRAME_BYTES = 256 * 2**20
"""Limit of the memory for frames in progress, about; large ones go in smaller batches."""

_OTHER_BATCHES = 3  # being drawn and warped, or handed out, beside those in the network
_MAX_WARPERS = 8  # threads that draw and warp; more wait for each other's Python


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
    """

    def __init__(
        self,
        image: np.ndarray,
        landmarks: np.ndarray,
        network: ResUnetGenerator,
        device: torch.device | str = "cpu",
        crop: FaceCrop | None = None,
    ) -> None:
        self.network = network
        self.image = image
        self.crop = crop or face_crop(landmarks)
        self.device = torch.device(device)
        self.streams = STREAMS[self.device.type]
        batch = FRAME_BYTES // (image.nbytes * (self.streams + _OTHER_BATCHES))
        self.batch = min(max(batch, 1), BATCH[self.device.type])
        self.warper = WarpRenderer(image, landmarks) if network.config.mends else None
        self._dtype = next(network.parameters()).dtype
        self._portrait = self._tensor(cut(image, self.crop)[None])

    def adapt_landmarks(self, landmarks: np.ndarray) -> np.ndarray:
        """Slim the lips and widen the eyes of the still landmarks (68, 3), as the release does.

        A network that generates the face was trained on such faces; a refinement network was not.
        """
        if self.warper is not None:
            return landmarks
        return slim_lips_widen_eyes(landmarks, self.crop.size / IMAGE_SIZE)

    def frames(self, landmarks: np.ndarray) -> Iterator[np.ndarray]:
        """Render landmarks (T, 68, >= 2), one frame at a time.

        Close the generator where it is not read to its end; its threads end with it.
        """
        blending = (self.image.shape, self.crop)
        if self.warper is not None:
            points = self.crop.to_crop(landmarks)[:, REFINED_POINTS, :2].reshape(-1, 2)
            window = refinement_window(points, 2**self.network.config.num_downs)
            blending = (*blending, window, WINDOW_FEATHER)
        # float32 must give the release's numbers, for which OpenCV blends alike on every device.
        exact = self._dtype == torch.float32
        if exact or self.device.type == "cpu":
            compositor = Compositor(*blending)
        else:
            compositor = DeviceCompositor(self.device, *blending)
        threads = torch.get_num_threads()
        streams = min(self.streams, threads)
        pool = ThreadPoolExecutor(
            min(threads, _MAX_WARPERS) + streams,
            "render",
            initializer=torch.set_num_threads,
            initargs=(threads // streams,),
        )
        try:
            # float32 gets CUDA's search for the fastest kernels, as all inputs have one size, but
            # no TF32; 16 bits have neither TF32 nor the time for a search before a short video.
            with torch.backends.cudnn.flags(enabled=True, benchmark=exact, allow_tf32=not exact):
                prepare = partial(self._inputs, compositor.window)
                inputs = in_order(pool, prepare, landmarks, 2 * self.batch)
                batches = iter(lambda: list(itertools.islice(inputs, self.batch)), [])
                translate = partial(self._translate, compositor)
                for frames in in_order(pool, translate, batches, streams):
                    yield from frames
        finally:
            pool.shutdown(cancel_futures=True)
            # The number that the pool's threads set would hold for all later threads.
            torch.set_num_threads(threads)

    def _inputs(self, window: Box, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The image below the network's output, and the network's input besides the portrait.

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

    @torch.inference_mode()
    def _translate(
        self, compositor: Compositor, inputs: list[tuple[np.ndarray, np.ndarray]]
    ) -> list[np.ndarray]:
        """The frames of a batch, from what `_inputs` returned for each."""
        images, seen = zip(*inputs, strict=True)
        seen = self._tensor(np.stack(seen))
        drawn, warped = seen[:, :3], seen[:, 3:]
        rows, columns = compositor.window.slices(WHOLE_CROP)
        portrait = self._portrait[:, :, rows, columns].expand(len(seen), -1, -1, -1)
        output = self.network(torch.cat([drawn, portrait, warped], dim=1).to(self._dtype)).float()
        if self.warper is None:
            return compositor(images, generated_frame(output), None)
        return compositor(images, *refinement(output, warped))

    def _tensor(self, images: np.ndarray) -> torch.Tensor:
        """uint8 (B, H, W, C) as float32 (B, C, H, W) in 0-1 on the device."""
        tensor = torch.from_numpy(np.ascontiguousarray(images)).to(self.device)
        return tensor.permute(0, 3, 1, 2).float() / 255


def in_order(
    pool: ThreadPoolExecutor, function: Callable[[Any], Any], items: Iterable, ahead: int
) -> Iterator:
    """Like `map`, computed by a pool up to `ahead` results before they are asked for.

    No more than `ahead` + 1 items are taken from `items` beyond what has been handed out.
    """
    pending = deque()
    for item in items:
        pending.append(pool.submit(function, item))
        if len(pending) > ahead:
            yield pending.popleft().result()
    for future in pending:
        yield future.result()
