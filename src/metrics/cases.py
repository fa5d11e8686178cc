"""Cases: the arrays that metrics are functions of, one class for each kind."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from src.data.synthesis import Phones
from src.face.crop import FaceCrop, cut, face_crop
from src.face.geometry import jaw_width, mouth_width
from src.face.pose import head_angles, head_pose
from src.face.topology import LIPS, NOSE_TIP
from src.models.dimensions import IMAGE_SIZE

MOUTH_SIZE = 96  # pixels to which the square round the mouth is resized
MOUTH_MARGIN = 1.4  # side of that square over the mouth's width

Pairs = list[tuple[np.ndarray, np.ndarray]]
"""Reference and generated image."""


@dataclass(frozen=True)
class LipMotion:
    """Predicted landmarks beside the ground truth of the same clip, without head motion."""

    predicted: np.ndarray  # (T, 68, 3)
    reference: np.ndarray  # (T, 68, 3), in the same unit

    @property
    def percent(self) -> float:
        """A hundredth of the ground truth's largest width of the mouth."""
        return float(mouth_width(self.reference).max()) / 100


@dataclass(frozen=True)
class HeadMotion:
    """Predicted landmarks beside the ground truth of the same clip, with head motion."""

    predicted: np.ndarray  # (T, 68, 3)
    reference: np.ndarray  # (T, 68, 3), in the same unit
    still: np.ndarray  # (68, 3) face at rest

    @property
    def percent(self) -> float:
        """A hundredth of the ground truth's mean width of the face."""
        return float(jaw_width(self.reference).mean()) / 100


@dataclass(frozen=True)
class LipGap:
    """Gap between the inner lips over time, with what is known of the speech."""

    gap: np.ndarray  # (T,), in any unit, NaN where no face was found
    rate: float  # frames per second
    reference: np.ndarray | None = None  # (T',) of the ground truth, at `aperture.MEASURE_RATE`
    phones: Phones | None = None


@dataclass(frozen=True)
class HeadTrack:
    """Landmarks that move with the head."""

    landmarks: np.ndarray  # (T, 68, 3)
    still: np.ndarray  # (68, 3) face at rest
    rate: float  # frames per second

    @property
    def nose(self) -> np.ndarray:
        """Position of the nose (T, 3) in percent of the face's width."""
        return self.landmarks[:, NOSE_TIP] / (jaw_width(self.still) / 100)

    @cached_property
    def curves(self) -> dict[str, np.ndarray]:
        """Position of the nose in the image (T, 2), and yaw, pitch and roll (T, 1) in degrees."""
        angles = head_angles(head_pose(self.landmarks, self.still)[0])
        yaw, pitch, roll = np.unwrap(angles, period=360, axis=0).T[..., None]
        return {"nose": self.nose[:, :2], "yaw": yaw, "pitch": pitch, "roll": roll}


@dataclass(frozen=True)
class VideoTrack:
    """Landmarks found in the frames of a video."""

    landmarks: np.ndarray  # (T, 68, 3) pixels, NaN where no face was found
    rate: float  # frames per second

    @property
    def seconds(self) -> float:
        return len(self.landmarks) / self.rate

    @cached_property
    def detected(self) -> np.ndarray:
        """(T,) whether a face was found."""
        return np.isfinite(self.landmarks).all((1, 2))


@dataclass(frozen=True)
class ImageRun:
    """Consecutive frames generated from the ground truth's landmarks, beside the ground truth."""

    reference: list[np.ndarray]  # uint8 BGR (H, W, 3)
    generated: list[np.ndarray]
    landmarks: np.ndarray  # (N, 68, 3) pixels, of the reference
    detected: np.ndarray  # (N, 68, 3) found in the generated frames, NaN where there is no face

    @cached_property
    def faces(self) -> Pairs:
        """Reference and generated face of each frame, uint8 (256, 256, 3)."""
        return self._cut([face_crop(face) for face in self.landmarks], IMAGE_SIZE)

    @cached_property
    def mouths(self) -> Pairs:
        """Reference and generated mouth of each frame, uint8 (MOUTH_SIZE, MOUTH_SIZE, 3)."""
        return self._cut([mouth_crop(face) for face in self.landmarks], MOUTH_SIZE)

    def _cut(self, squares: list[FaceCrop], size: int) -> Pairs:
        pairs = zip(self.reference, self.generated, squares, strict=True)
        return [tuple(cut(frame, square, size) for frame in frames) for *frames, square in pairs]

    @cached_property
    def steady_faces(self) -> np.ndarray:
        """Grey faces at the place of the middle frame's: float32 (2, N, 256, 256).

        Reference and generated.
        """
        square = face_crop(self.landmarks[len(self.landmarks) // 2])
        frames = (self.reference, self.generated)
        return np.array([[grey(cut(frame, square)) for frame in run] for run in frames])


def mouth_crop(landmarks: np.ndarray) -> FaceCrop:
    """The square round the lips of landmarks (68, 2 or 3) in pixels."""
    lips = landmarks[LIPS, :2]
    low, high = lips.min(0), lips.max(0)
    size = MOUTH_MARGIN * float((high - low).max())
    corner = (low + high) / 2 + 0.5 - size / 2
    return FaceCrop(float(corner[0]), float(corner[1]), size)


def grey(image: np.ndarray) -> np.ndarray:
    """Grey levels of a BGR image, float32."""
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
