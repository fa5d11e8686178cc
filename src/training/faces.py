"""Tracked faces become what the networks learn: registered, smooth, at the audio's rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from src.audio import FRAME_RATE, SAMPLE_RATE
from src.landmarks.geometry import (
    NORMALISED_JAW_WIDTH,
    inner_lip_area,
    register,
    similarity,
)
from src.landmarks.topology import (
    RIGHT_EYE,
    RIGID_POINTS,
    mirror_order,
)
from src.training.clips import LEAST_TRACKED, SMOOTHING, VIDEO_RATE

STANDARD_FACE_ROUNDS = 5
STATIC_FRAMES = 5  # frames of the most closed mouth that make the static face


def standard_face(faces: np.ndarray) -> np.ndarray:
    """Mean of detected faces (N, 68, 3) in pixels: symmetric, frontal, normalised (68, 3).

    Faces are aligned with their own mean (generalised Procrustes); the mean is made symmetric,
    scaled to the normalised jaw width and put with the jaw's ends at the origin of x and y.
    """
    mean = _rest_on_jaw(faces[0] - faces[0].mean(0))
    order = mirror_order()
    for _ in range(STANDARD_FACE_ROUNDS):
        mean = register(faces, mean).mean(0)
        mirrored = mean[order] * [-1.0, 1.0, 1.0]
        mean = _rest_on_jaw(0.5 * (mean + register(mirrored, mean)))
    # The mirror image was laid on the mean, not on its plane of symmetry: finish exactly.
    return _upright(_rest_on_jaw(0.5 * (mean + mean[order] * [-1.0, 1.0, 1.0])))


def _upright(face: np.ndarray) -> np.ndarray:
    """Nod a symmetric face until the outer corners of the eyes are level with the jaw's ends."""
    eye = face[RIGHT_EYE.start]
    angle = np.arctan2(eye[1], eye[2] - face[0, 2])
    cos, sin = np.cos(angle), np.sin(angle)
    nod = np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
    return _rest_on_jaw((face - face[0] * [0, 1, 1]) @ nod)


def _rest_on_jaw(face: np.ndarray) -> np.ndarray:
    centre = 0.5 * (face[0] + face[16])
    centre[2] = face[:, 2].mean()
    return (face - centre) * (NORMALISED_JAW_WIDTH / abs(face[16, 0] - face[0, 0]))


def clean_track(track: np.ndarray) -> np.ndarray | None:
    """Fill the gaps of a track (T, 68, 3) with NaN, and smooth the detector's jitter.

    Returns None where the face was seen in too few frames.
    """
    from scipy.signal import savgol_filter

    seen = np.isfinite(track).all((1, 2))
    if len(track) < SMOOTHING[0] or seen.mean() < LEAST_TRACKED:
        return None
    frames = np.arange(len(track))
    flat = track.reshape(len(track), -1).astype(np.float64)
    columns = [np.interp(frames, frames[seen], column[seen]) for column in flat.T]
    smooth = savgol_filter(np.stack(columns, 1), *SMOOTHING, axis=0)
    return smooth.reshape(track.shape)


def at_audio_rate(track: np.ndarray, offset: float, samples: int) -> tuple[np.ndarray, int]:
    """Resample a track at ``VIDEO_RATE`` to ``FRAME_RATE``, in step with its sound.

    Args:
        track: (T, 68, 3).
        offset: seconds that the picture leads the sound.
        samples: length of the sound.

    Returns:
        The track (T', 68, 3) and the first sample of the sound that belongs to it. Both last as
        long as picture and sound overlap.
    """
    dropped_sound, dropped_picture = max(0.0, offset), max(0.0, -offset)
    seconds = min(len(track) / VIDEO_RATE - dropped_picture, samples / SAMPLE_RATE - dropped_sound)
    times = np.arange(int(seconds * FRAME_RATE)) / FRAME_RATE + dropped_picture
    known = np.arange(len(track)) / VIDEO_RATE
    flat = track.reshape(len(track), -1)
    resampled = np.stack([np.interp(times, known, column) for column in flat.T], 1)
    return resampled.reshape(-1, *track.shape[1:]), round(dropped_sound * SAMPLE_RATE)


def static_face(registered: np.ndarray) -> np.ndarray:
    """The face at rest of a clip (T, 68, 3): its frames of least inner-mouth area, averaged.

    The release takes one frame; a few have less of the detector's noise.
    """
    area = np.abs(inner_lip_area(registered))
    return registered[np.argsort(area)[:STATIC_FRAMES]].mean(0)


def register_whole(track: np.ndarray, standard: np.ndarray) -> np.ndarray:
    """Bring a clip (T, 68, 3) in pixels to normalised coordinates with its head motion kept.

    The similarity that lays the clip's mean pose on the standard face is applied to all frames.
    """
    rigid = list(RIGID_POINTS)
    scale, rotation, translation = similarity(track.mean(0)[rigid], standard[rigid])
    return scale * (track @ rotation) + translation


@dataclass(frozen=True)
class HeadCourse:
    """How the head of a clip goes, by the names of the published dumps."""

    FIELDS: ClassVar = ("rot_trans", "rot_quat", "anchor_t_shape")

    rot_trans: np.ndarray  # (T, 3, 4): takes the anchored face's points (x, y, z, 1) to the clip's
    rot_quat: np.ndarray  # (T, 4): its rotation as a unit quaternion (w, x, y, z), w not negative
    anchor_t_shape: np.ndarray  # (T, 204): the face laid on the standard face in every frame

    def first(self, frames: int) -> HeadCourse:
        """The beginning of the clip."""
        return HeadCourse(*(getattr(self, key)[:frames] for key in self.FIELDS))


def head_course(posed: np.ndarray, standard: np.ndarray) -> HeadCourse:
    """What is pose and what is shape in landmarks (T, 204) that move with the head.

    Args:
        standard: (68, 3) face, on which the points of the skull are laid.
    """
    from scipy.spatial.transform import Rotation

    track = np.asarray(posed, np.float64).reshape(len(posed), -1, 3)
    anchored, rigid = register(track, standard), list(RIGID_POINTS)
    scale, rotation, translation = similarity(anchored[:, rigid], track[:, rigid])
    turn = np.swapaxes(rotation, -1, -2)  # similarity multiplies rows, here columns are meant
    moved = np.concatenate([scale[:, None, None] * turn, translation[..., None]], -1)
    quaternions = Rotation.from_matrix(turn).as_quat(canonical=True)[:, [3, 0, 1, 2]]
    shapes = anchored.reshape(len(track), -1)
    return HeadCourse(*(array.astype(np.float32) for array in (moved, quaternions, shapes)))
