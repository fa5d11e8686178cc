"""Geometry of a face given as 68 landmarks: NumPy arrays in and out, y down throughout.

Two frames of reference: *pixels* of a picture, and *normalised* coordinates, in which the jaw is
`NORMALISED_JAW_WIDTH` wide and the origin is midway between its two ends.
"""

import numpy as np

from src.face.topology import INNER_LIP_PAIRS, INNER_LIPS, JAW, LANDMARK_COUNT, RIGID_POINTS

NORMALISED_JAW_WIDTH = 1.6
"""Distance in x of points 0 and 16 in normalised coordinates (published release)."""

DEPTH_FACTOR = 0.1
"""Share of the standard face's depth that a normalised portrait gets (published release)."""

CLOSING_CENTRE = 0.7
"""How far the inner lips, and the outer lips above and below them, go to the closed position."""

CLOSING_SIDE = 0.5
"""How far the outer lip points next to the corners follow (published release)."""

SLIMMED_LIPS = 1.0
"""Pixels that the outer lips are moved towards each other (published release)."""

WIDENED_EYES = 2.0
"""Pixels that each lid is moved outwards (published release)."""

CLOSING_SIDE_POINTS = (49, 53, 55, 59)
CLOSING_LEADERS = {
    **{49: 61, 50: 61, 51: 62, 52: 63, 53: 63},
    **{59: 67, 58: 67, 57: 66, 56: 65, 55: 65},
}
"""Which inner lip point each outer lip point follows."""


def normalise(
    landmarks: np.ndarray, standard_depth: np.ndarray
) -> tuple[np.ndarray, float, np.ndarray]:
    """Bring a portrait's landmarks to normalised coordinates.

    Args:
        landmarks: (68, 3) pixels; z is ignored, because detectors guess it too roughly.
        standard_depth: (68,) depth of the standard face, which replaces it.

    Returns:
        (68, 3) float64 normalised landmarks, scale (negative for an upright face) and the (2,)
        shift in pixels that `denormalise` needs to go back.

    Raises:
        ValueError: not 68 finite points, or the two ends of the jaw have the same x.
    """
    points = np.asarray(landmarks, np.float64)
    if points.shape != (LANDMARK_COUNT, 3) or not np.isfinite(points).all():
        raise ValueError(f"not {LANDMARK_COUNT} finite points (x, y, z): {points.shape}")
    width = points[0, 0] - points[16, 0]
    if width == 0:
        raise ValueError("the two ends of the jaw have the same x")
    scale = NORMALISED_JAW_WIDTH / width
    shift = -0.5 * (points[0, :2] + points[16, :2])
    normalised = np.empty_like(points)
    normalised[:, :2] = -(points[:, :2] + shift) * scale
    normalised[:, 2] = DEPTH_FACTOR * np.asarray(standard_depth, np.float64)
    return normalised, float(scale), shift


def denormalise(landmarks: np.ndarray, scale: float, shift: np.ndarray) -> np.ndarray:
    """Undo `normalise`: (..., 68, 3) normalised to pixels. z is left as it is; dtype is kept."""
    points = np.array(landmarks)
    points[..., :2] = -points[..., :2] / scale - shift
    return points


def close_mouth(landmarks: np.ndarray, amount: float = CLOSING_CENTRE) -> np.ndarray:
    """Close an open mouth of (68, 2 or 3) landmarks, in any unit; returns a new float64 array.

    The inner lips go the fraction `amount` of the way to each other (1: until they touch), and the
    outer lips follow them.
    """
    points = np.array(landmarks, np.float64)
    offsets = {}
    for upper, lower in INNER_LIP_PAIRS:
        middle = 0.5 * (points[upper] + points[lower])
        offsets[upper] = middle - points[upper]
        offsets[lower] = middle - points[lower]
    for point, offset in offsets.items():
        points[point] += amount * offset
    for point, leader in CLOSING_LEADERS.items():
        share = CLOSING_SIDE if point in CLOSING_SIDE_POINTS else amount
        points[point] += share * offsets[leader]
    return points


def slim_lips_widen_eyes(landmarks: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """The release's touch-up of (68, 3) landmarks in pixels; returns a new float64 array.

    Detectors see lips thicker and eyes narrower than the networks were trained on.

    Args:
        landmarks: (68, 3).
        scale: factor on the displacements, which are pixels of a 256-pixel crop.
    """
    points = np.array(landmarks, np.float64)
    points[49:54, 1] += scale * SLIMMED_LIPS
    points[55:60, 1] -= scale * SLIMMED_LIPS
    points[[37, 38, 43, 44], 1] -= scale * WIDENED_EYES
    points[[40, 41, 46, 47], 1] += scale * WIDENED_EYES
    return points


def similarity(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least-squares similarity from points (..., N, D) to (..., N, D): never a reflection.

    Returns:
        scale (...,), rotation (..., D, D) and translation (..., D), such that
        `scale * points @ rotation + translation` is nearest to the target (Umeyama 1991).
    """
    source = np.asarray(source, np.float64)
    target = np.asarray(target, np.float64)
    source_mean = source.mean(-2, keepdims=True)
    target_mean = target.mean(-2, keepdims=True)
    source_centred = source - source_mean
    target_centred = target - target_mean
    covariance = np.swapaxes(source_centred, -1, -2) @ target_centred
    left, singular, right = np.linalg.svd(covariance)
    signs = np.ones_like(singular)
    signs[..., -1] = np.sign(np.linalg.det(left) * np.linalg.det(right))
    rotation = (left * signs[..., None, :]) @ right
    variance = (source_centred**2).sum((-1, -2))
    scale = (singular * signs).sum(-1) / variance
    translation = target_mean - scale[..., None, None] * (source_mean @ rotation)
    return scale, rotation, translation[..., 0, :]


def register(landmarks: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Take head pose and size out: align each face with a reference on the points of the skull.

    Args:
        landmarks: (..., 68, 3), x, y and z in the same unit.
        reference: (68, 3), for example the standard face.

    Returns:
        (..., 68, 3) float64 in the reference's coordinates. Lips, brows and jaw are free.
    """
    points = np.asarray(landmarks, np.float64)
    rigid = list(RIGID_POINTS)
    target = np.broadcast_to(
        np.asarray(reference, np.float64)[rigid], (*points.shape[:-2], len(rigid), 3)
    )
    scale, rotation, translation = similarity(points[..., rigid, :], target)
    return scale[..., None, None] * (points @ rotation) + translation[..., None, :]


def inner_lip_gap(landmarks: np.ndarray) -> np.ndarray:
    """How far the inner lips of (..., 68, 3) landmarks are apart: mean over their pairs, (...,).

    Negative where the upper lip has sunk below the lower one; of displacements, what they add.
    """
    y = np.asarray(landmarks)[..., 1]
    upper, lower = zip(*INNER_LIP_PAIRS, strict=True)
    return (y[..., lower] - y[..., upper]).mean(axis=-1)


def inner_lip_area(landmarks: np.ndarray) -> np.ndarray:
    """Signed area between the inner lips of (..., 68, >=2) landmarks, shape (...,), unit squared.

    Positive for an open mouth; negative where the upper lip has sunk below the lower one.
    """
    lips = np.asarray(landmarks, np.float64)[..., INNER_LIPS, :2]
    following = np.roll(lips, -1, axis=-2)
    cross = lips[..., 0] * following[..., 1] - following[..., 0] * lips[..., 1]
    return 0.5 * cross.sum(-1)


def jaw_width(landmarks: np.ndarray) -> np.ndarray:
    """Distance between the ends of the jaw of landmarks (..., 68, D): (...,)."""
    return np.linalg.norm(landmarks[..., JAW.stop - 1, :] - landmarks[..., JAW.start, :], axis=-1)
