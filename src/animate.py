"""A portrait and a voice become a video: the stages, one function each, arrays between them.

read_recording → speech_features → face_landmarks → sample_landmarks → frames → src.io.video
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from src import settings as defaults
from src.errors import InputError
from src.face.topology import JAW_ENDS, LANDMARK_COUNT
from src.io import audio
from src.io.video import even_size
from src.motion import default, released
from src.motion.resampling import resample
from src.motion.settings import MotionSettings
from src.speech.features import SpeechFeatures

if TYPE_CHECKING:
    import torch

    from src.face.crop import FaceCrop
    from src.models.image_translation import ResUnetGenerator
    from src.models.loading import MotionModels

log = logging.getLogger(__name__)

FPS = 25.0  # frames a second of a video
FPS_AS_RELEASED = audio.FRAME_RATE  # the release makes a frame of every landmark frame
LEAST_FACE = 4.0  # pixels across that landmarks from a file must span

Intermediates = dict[str, np.ndarray]


@dataclass(frozen=True)
class Portrait:
    """A still face as it will be animated."""

    picture: np.ndarray  # uint8 BGR (H, W, 3), even sides
    landmarks: np.ndarray  # (68, 3) in pixels of `picture`
    scale: np.ndarray  # (2,) pixels of `picture` to a pixel of the file, x and y

    def to_file(self, landmarks: np.ndarray) -> np.ndarray:
        """Landmarks (..., 68, 3) in pixels of the user's own file."""
        moved = np.array(landmarks, np.float64)
        moved[..., :2] = (moved[..., :2] + 0.5) / self.scale - 0.5
        return moved


def prepare_portrait(
    picture: np.ndarray,
    landmarks: np.ndarray,
    largest_side: int = defaults.LARGEST_SIDE,
    *,
    as_released: bool = False,
) -> Portrait:
    """Bring a picture and its landmarks to the size of the video.

    Args:
        picture: uint8 BGR (H, W, 3).
        landmarks: (68, 3) pixels of it.
        largest_side: pixels; larger pictures shrink to it.
        as_released: the whole picture becomes the 256-pixel square that the release expects.
    """
    height, width = picture.shape[:2]
    if as_released:
        from src.face.crop import CROP_SIZE

        size = (CROP_SIZE, CROP_SIZE)
    else:
        shrink = min(1.0, largest_side / max(height, width))
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    scale = np.array(size) / (width, height)
    if size != (width, height):
        shrinks = size[0] < width
        mode = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        picture = cv2.resize(picture, size, interpolation=mode)
    moved = np.array(landmarks, np.float64)
    if (scale != 1).any():
        moved[:, :2] = (moved[:, :2] + 0.5) * scale - 0.5
        moved[:, 2] *= scale.mean()
    return Portrait(np.ascontiguousarray(even_size(picture)), moved, scale)


def read_landmarks(path: Path, picture: np.ndarray) -> np.ndarray:
    """Landmarks (68, 3) in pixels of a picture from an .npy file.

    Raises:
        InputError: another shape or kind, or all of them outside the picture.
    """
    try:
        landmarks = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        if isinstance(error, OSError) and error.strerror:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        raise InputError(f"{path}: not a NumPy file (.npy) of numbers") from None
    shape = getattr(landmarks, "shape", None)
    if shape != (LANDMARK_COUNT, 3) or landmarks.dtype.kind not in "fiu":
        raise InputError(f"{path}: landmarks must be numbers of shape (68, 3), not {shape}")
    landmarks = landmarks.astype(np.float64)
    if not np.isfinite(landmarks).all():
        raise InputError(f"{path}: landmarks that are not finite numbers")
    height, width = picture.shape[:2]
    inside = ((landmarks[:, :2] >= 0) & (landmarks[:, :2] < (width, height))).all(axis=1)
    if inside.sum() < LANDMARK_COUNT // 2:
        raise InputError(
            f"{path}: only {inside.sum()} of 68 landmarks lie in the picture of {width} x {height}"
        )
    jaw = abs(np.subtract(*landmarks[list(JAW_ENDS), 0]))
    if jaw < LEAST_FACE:
        raise InputError(
            f"{path}: the ends of the jaw (points 0 and 16) have the same x, or nearly: "
            f"{jaw:.1f} pixels from each other"
        )
    # Twice the deviation across the line that fits the points best.
    centred = landmarks[:, :2] - landmarks[:, :2].mean(axis=0)
    breadth = 2 * np.linalg.svd(centred, compute_uv=False)[1] / np.sqrt(LANDMARK_COUNT)
    places = len(np.unique(np.round(centred, 3), axis=0))
    if breadth < LEAST_FACE or places < LANDMARK_COUNT // 2:
        raise InputError(f"{path}: the landmarks lie on a line or on few places: not a face")
    return landmarks


def moving_face(
    speech: SpeechFeatures,
    face: np.ndarray,
    networks: MotionModels,
    settings: MotionSettings,
    speaker: np.ndarray | None = None,
) -> np.ndarray:
    """Moving landmarks (T, 68, 3), normalised, of a normalised face (68, 3)."""
    method = released if settings.as_released else default
    if speech.silent:
        settings = replace(settings, amp_lip_x=0.0, amp_lip_y=0.0)
    return method.predict_landmarks(speech, face, networks, settings, speaker)


def face_landmarks(
    speech: SpeechFeatures,
    face: np.ndarray,
    networks: MotionModels,
    settings: MotionSettings,
    speaker: np.ndarray | None = None,
    keep: Intermediates | None = None,
) -> np.ndarray:
    """Moving landmarks (T, 68, 3) of a still face (68, 3), both in pixels."""
    from src.face.geometry import denormalise, normalise

    method = released if settings.as_released else default
    normalised, scale, shift = normalise(face, networks.standard_face[:, 2])
    predicted = moving_face(speech, normalised, networks, settings, speaker)
    pixels = denormalise(predicted, scale, shift)
    blinking, final = method.finish_portrait(pixels, settings.seed)
    if keep is not None:
        keep["landmarks_normalised"] = normalised
        keep["scale"] = np.array(scale)
        keep["shift"] = shift
        keep["landmarks_predicted"] = predicted
        keep["landmarks_denormalised"] = pixels
        keep[f"landmarks_blinking_seed{settings.seed}"] = blinking
        keep["landmarks_final"] = final
    return final


def frame_count(seconds: float, fps: float) -> int:
    """Frames that last as long as the sound, at least one."""
    return max(1, round(seconds * fps))


def sample_landmarks(landmarks: np.ndarray, fps: float, count: int) -> np.ndarray:
    """Landmarks at the moments of a video's frames.

    Args:
        landmarks: (T, 68, 3) at `audio.FRAME_RATE`.
        fps: frames a second; between two landmark frames each point goes straight.
        count: frames; beyond the end the last landmarks stay.

    Returns:
        (count, 68, 3), dtype kept.
    """
    return resample(landmarks, np.arange(count) * (audio.FRAME_RATE / fps))


def rendered_frames(
    portrait: Portrait,
    landmarks: np.ndarray,
    network: ResUnetGenerator | None,
    crop: FaceCrop,
    device: torch.device | str,
) -> Iterator[np.ndarray]:
    """The portrait's frames for landmarks (T, 68, 3) in its pixels: uint8 BGR (H, W, 3) each.

    Args:
        network: of image translation, which renders inside `crop`; the warp alone where None.
        device: where the network is.
    """
    if network is None:
        from src.render.warp.portrait import WarpRenderer

        renderer = WarpRenderer(portrait.picture, portrait.landmarks)
        return renderer.frames(landmarks)
    from src.render.unet import UNetRenderer

    return UNetRenderer(portrait.picture, portrait.landmarks, network, device, crop).frames(
        landmarks
    )
