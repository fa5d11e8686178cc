"""Settings of portrait and video, from which the entry scripts make their options."""

from __future__ import annotations

from dataclasses import dataclass

from src.face import detectors
from src.options import option
from src.render.renderer import RENDERERS


@dataclass(frozen=True, kw_only=True)
class RenderSettings:
    """How the portrait is read and how the video is rendered."""

    fps: float | None = option(
        None, "frames a second (25; 62.5 by the published method)", least=1, most=240
    )
    max_size: int = option(1024, "longest side in pixels", least=64, most=8192)
    show_landmarks: bool = option(False, "show [portrait | result | landmarks] side by side")
    renderer: str = option(
        "auto",
        "unet: the image-translation network, the published one where its checkpoint is, else the "
        "embedded one; warp: no network; auto: unet where the published checkpoint is, else warp",
        choices=("auto", *RENDERERS),
    )
    landmark_detector: str = option(
        "auto",
        "fan downloads its weights on first use; auto: fan where they are, else mediapipe",
        choices=detectors.CHOICES,
    )
