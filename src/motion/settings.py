"""Settings of the motion, from which the entry scripts make their options."""

from __future__ import annotations

from dataclasses import dataclass

from src.options import option


@dataclass(frozen=True, kw_only=True)
class MotionSettings:
    """Amplitudes and variants of the motion; the defaults of the amplitudes are the release's."""

    amp_lip_x: float = option(2.0, "amplitude of the lips, horizontal", metavar="X")
    amp_lip_y: float = option(2.0, "amplitude of the lips, vertical", metavar="Y")
    amp_pos: float = option(0.5, "amplitude of head and expression", metavar="X")
    close_input_face_mouth: bool = option(False, "close the portrait's mouth first")
    seed: int = option(0, "of the random pauses between blinks", least=0, most=2**32 - 1)
    as_released: bool = option(False, "follow the published release step by step")
