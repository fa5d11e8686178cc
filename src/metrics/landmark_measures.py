"""The paper's measures of moving landmarks (section 6), and of the motion of a head.

Arrays in, numbers out. Landmarks are (T, 68, 3) in any one unit, frame by frame beside the true
ones of the same clip; whatever is divided by a length is divided by the true clip's.

  D-LL   mean distance of the points of jaw and lower lip, percent of the widest lips
  D-VL   the same of their velocities, differences of consecutive frames
  D-A    mean difference of the area of the open mouth, percent of the largest
  D-L    mean distance of all points, percent of the width of the face
  D-V    the same of their velocities
  D-Rot  mean angle between the rotations of the head, degrees
  D-Pos  mean distance of the positions of the head, percent of the width of the face
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from src.face.geometry import inner_lip_area, jaw_width, mouth_width
from src.face.registration import similarity
from src.face.topology import JAW, LOWER_LIP, NOSE_TIP, RIGID_POINTS

JAW_AND_LOWER_LIP = (*range(JAW.start, JAW.stop), *LOWER_LIP)
MOTIONS = ("nose", "yaw", "pitch", "roll")


def lip_width(true: np.ndarray) -> float:
    """Largest distance of the corners of the mouth in a clip."""
    return float(mouth_width(true).max())


def face_width(true: np.ndarray) -> float:
    """Mean distance of the two ends of the jaw in a clip."""
    return float(jaw_width(true).mean())


def mean_distance(made: np.ndarray, true: np.ndarray) -> float:
    """Mean Euclidean distance of points (..., 3); NaN where there are none."""
    return float(np.linalg.norm(made - true, axis=-1).mean()) if len(true) else float("nan")


def lip_measures(made: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """D-LL, D-VL and D-A of landmarks (T, 68, 3) without head motion.

    D-A is NaN where the true mouth never opens.
    """
    points = list(JAW_AND_LOWER_LIP)
    width = lip_width(true) / 100
    areas = [np.maximum(inner_lip_area(track), 0) for track in (made, true)]
    largest = areas[1].max()
    area = np.abs(areas[0] - areas[1]).mean() / largest if largest > 0 else np.nan
    return {
        "D-LL": mean_distance(made[:, points], true[:, points]) / width,
        "D-VL": mean_distance(*(np.diff(track[:, points], axis=0) for track in (made, true)))
        / width,
        "D-A": 100 * float(area),
    }


def head_measures(made: np.ndarray, true: np.ndarray, still: np.ndarray) -> dict[str, float]:
    """D-L, D-V, D-Rot and D-Pos of landmarks (T, 68, 3) that move with the head.

    Args:
        still: (68, 3) face at rest of the clip, from which rotations are counted.
    """
    width = face_width(true) / 100
    rotations, positions = zip(*(head_pose(track, still) for track in (made, true)), strict=True)
    return {
        "D-L": mean_distance(made, true) / width,
        "D-V": mean_distance(*(np.diff(track, axis=0) for track in (made, true))) / width,
        "D-Rot": float(rotation_angle(*rotations).mean()),
        "D-Pos": mean_distance(*positions) / width,
    }


def head_pose(track: np.ndarray, still: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How the head of each frame lies.

    Args:
        track: (T, 68, 3).
        still: (68, 3) of the same face.

    Returns:
        Rotations (T, 3, 3) that, multiplied from the right, turn the still face to the frame's,
        and the positions (T, 3) of the middle of the points that move with the skull only.
    """
    rigid = RIGID_POINTS
    source = np.broadcast_to(still[rigid], (len(track), len(rigid), 3))
    _, rotations, _ = similarity(source, track[:, rigid])
    return rotations, track[:, rigid].mean(1)


def rotation_angle(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Angles (T,) in degrees, 0 to 180, between rotations (T, 3, 3)."""
    # The trace is flat at 0, where rounding would show; the difference is not.
    half = np.linalg.norm(first - second, axis=(-2, -1)) / np.sqrt(8)
    return np.degrees(2 * np.arcsin(np.clip(half, 0, 1)))


def head_angles(rotations: np.ndarray) -> np.ndarray:
    """Yaw, pitch and roll (T, 3) in degrees of `head_pose`'s rotations: about y, x and z.

    x goes to the right of the picture, y down, z towards the camera: a left-handed system, so the
    signs are not those of a textbook. Spreads and speeds do not depend on them.
    """
    turn = np.swapaxes(rotations, -1, -2)  # as it multiplies columns: Rz Ry Rx
    yaw = np.arcsin(np.clip(-turn[..., 2, 0], -1, 1))
    pitch = np.arctan2(turn[..., 2, 1], turn[..., 2, 2])
    roll = np.arctan2(turn[..., 1, 0], turn[..., 0, 0])
    return np.degrees(np.stack([yaw, pitch, roll], -1))


@dataclass(frozen=True)
class HeadMotion:
    """How far and how fast a head goes: the nose in percent of the face's width, else degrees."""

    spread: dict[str, float]  # deviation over time, by the names in MOTIONS
    speed: dict[str, float]  # mean change a second


def head_motion(track: np.ndarray, still: np.ndarray, rate: float) -> HeadMotion:
    """Spread and speed of the tip of the nose and of the head's angles.

    Args:
        track: (T, 68, 3) at ``rate`` frames a second.
        still: (68, 3) of the same face.
    """
    width = face_width(still[None]) / 100
    angles = np.unwrap(head_angles(head_pose(track, still)[0]), period=360, axis=0)
    nose = track[:, NOSE_TIP, :2] / width
    courses = dict(zip(MOTIONS, [nose, *angles.T[..., None]], strict=True))
    return HeadMotion(
        {name: float(np.sqrt(course.var(0).sum())) for name, course in courses.items()},
        {name: rate * mean_distance(course[1:], course[:-1]) for name, course in courses.items()},
    )


def signature(motion: HeadMotion) -> np.ndarray:
    """Logarithms (8,) of all spreads and speeds: differences of signatures are factors."""
    values = [*motion.spread.values(), *motion.speed.values()]
    return np.log(np.maximum(values, 1e-6))


def separation(points: np.ndarray, owners: list[str]) -> dict[str, float]:
    """Whether what belongs to one owner is alike, and differs from what belongs to another.

    Args:
        points: (N, ...) one array for each thing.
        owners: N names.

    Returns:
        Root mean square differences over all pairs of the same owner (``same``) and of two
        owners (``others``), and the probability that one of the latter is the larger (``auc``;
        0.5 is chance). NaN where there are no such pairs.
    """
    flat = np.reshape(points, (len(points), -1))
    first, second = np.triu_indices(len(flat), 1)
    apart = np.sqrt(np.square(flat[first] - flat[second]).mean(-1))
    names = np.asarray(owners)
    alike = names[first] == names[second]
    same, others = apart[alike], apart[~alike]
    if not len(same) or not len(others):
        return dict.fromkeys(("same", "others", "auc"), float("nan"))
    larger = (others[:, None] > same).mean() + 0.5 * (others[:, None] == same).mean()
    return {
        "same": float(np.sqrt(np.square(same).mean())),
        "others": float(np.sqrt(np.square(others).mean())),
        "auc": float(larger),
    }
