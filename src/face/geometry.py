"""Geometry of a face given as 68 landmarks: NumPy arrays in and out, y down throughout.

Coordinates are *pixels* of an image, or *normalised*: the jaw is `NORMALISED_JAW_WIDTH` wide and
the origin is midway between its two ends.
"""

import numpy as np

from src.face.topology import (
    CENTRAL_INNER_LIPS,
    EYELID_PAIRS,
    INNER_LIP_PAIRS,
    INNER_LIPS,
    JAW_ENDS,
    LANDMARK_COUNT,
    LIP_FOLLOWERS,
    MOUTH_CORNERS,
    OUTER_LIP_PAIRS,
    SIDE_LIP_PAIRS,
)

# All as in the published release.
NORMALISED_JAW_WIDTH = 1.6  # distance in x of points 0 and 16 in normalised coordinates
DEPTH_FACTOR = 0.1  # factor on the standard face's depth in a normalised portrait
CLOSING = 0.7  # fraction of the way to the closed position
CLOSING_SIDE = 0.5  # as CLOSING, of the outer lip points next to the corners
SLIMMED_LIPS = 1.0  # pixels by which the outer lips are moved towards each other
WIDENED_EYES = 2.0  # pixels by which each lid is moved outwards


def normalise(
    landmarks: np.ndarray, standard_depth: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bring landmarks of portraits to normalised coordinates.

    Args:
        landmarks: (..., 68, 3) pixels; z is ignored, as detectors estimate it too roughly.
        standard_depth: (68,) depth of the standard face, which replaces it.

    Returns:
        (..., 68, 3) float64 normalised landmarks, and the scale (...,), negative for an upright
        face, and shift (..., 2) in pixels that `denormalise` needs to go back.

    Raises:
        ValueError: not 68 finite points, or the two ends of the jaw have the same x.
    """
    points = np.asarray(landmarks, np.float64)
    if points.shape[-2:] != (LANDMARK_COUNT, 3) or not np.isfinite(points).all():
        raise ValueError(f"not {LANDMARK_COUNT} finite points (x, y, z): {points.shape}")
    right, left = (points[..., end, :2] for end in JAW_ENDS)
    width = right[..., 0] - left[..., 0]
    if (width == 0).any():
        raise ValueError("the two ends of the jaw have the same x")
    scale = NORMALISED_JAW_WIDTH / width
    shift = -0.5 * (right + left)
    normalised = np.empty_like(points)
    normalised[..., :2] = -(points[..., :2] + shift[..., None, :]) * scale[..., None, None]
    normalised[..., 2] = DEPTH_FACTOR * np.asarray(standard_depth, np.float64)
    return normalised, scale, shift


def denormalise(landmarks: np.ndarray, scale: float, shift: np.ndarray) -> np.ndarray:
    """Undo `normalise`: (..., 68, 3) normalised to pixels. z is left as it is; dtype is kept."""
    points = np.array(landmarks)
    points[..., :2] = -points[..., :2] / float(scale) - shift
    return points


def close_mouth(landmarks: np.ndarray, amount: float = CLOSING) -> np.ndarray:
    """Close an open mouth of (68, 2 or 3) landmarks, in any unit; returns a new float64 array.

    The inner lips go the fraction `amount` of the way to each other (1: until they touch), and the
    outer lips follow them.
    """
    points = np.array(landmarks, np.float64)
    for inner, followers in LIP_FOLLOWERS.items():
        inner = list(inner)
        offsets = points[inner].mean(0) - points[inner]
        for outer in followers:
            points[list(outer)] += (CLOSING_SIDE if outer in SIDE_LIP_PAIRS else amount) * offsets
        points[inner] += amount * offsets
    return points


def slim_lips_widen_eyes(landmarks: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """The release's touch-up of (68, 3) landmarks in pixels; returns a new float64 array.

    Detectors place lips thicker and eyes narrower than in the data the networks were trained on.
    The displacements are pixels of a 256-pixel crop, times `scale`.
    """
    points = np.array(landmarks, np.float64)
    for pairs, change in ((OUTER_LIP_PAIRS, SLIMMED_LIPS), (EYELID_PAIRS, -WIDENED_EYES)):
        upper, lower = np.transpose(pairs)
        points[upper, 1] += scale * change
        points[lower, 1] -= scale * change
    return points


def jaw_width(landmarks: np.ndarray) -> np.ndarray:
    """Distance between the ends of the jaw of landmarks (..., 68, D): (...,)."""
    return _distance(landmarks, JAW_ENDS)


def mouth_width(landmarks: np.ndarray) -> np.ndarray:
    """Distance between the corners of the mouth of landmarks (..., 68, D): (...,)."""
    return _distance(landmarks, MOUTH_CORNERS)


def central_lip_distance(landmarks: np.ndarray) -> np.ndarray:
    """Distance between the middles of the inner lips of landmarks (..., 68, D): (...,)."""
    return _distance(landmarks, CENTRAL_INNER_LIPS)


def _distance(landmarks: np.ndarray, points: tuple[int, int]) -> np.ndarray:
    first, second = points
    return np.linalg.norm(landmarks[..., second, :] - landmarks[..., first, :], axis=-1)


def central_lip_gap(landmarks: np.ndarray) -> np.ndarray:
    """Height of the gap in the middle of the inner lips of (..., 68, D) landmarks: (...,).

    Negative where the lips have crossed. Also takes PyTorch tensors.
    """
    upper, lower = CENTRAL_INNER_LIPS
    return landmarks[..., lower, 1] - landmarks[..., upper, 1]


def inner_lip_gap(landmarks: np.ndarray) -> np.ndarray:
    """Height of the gap between the inner lips of (..., 68, D) landmarks, mean of three: (...,).

    Negative where the lips have crossed; of displacements, the change of the gap.
    """
    y = np.asarray(landmarks)[..., 1]
    upper, lower = zip(*INNER_LIP_PAIRS, strict=True)
    return (y[..., lower] - y[..., upper]).mean(axis=-1)


def inner_lip_area(landmarks: np.ndarray) -> np.ndarray:
    """Signed area between the inner lips of (..., 68, >=2) landmarks, shape (...,), unit squared.

    Positive for an open mouth, negative where the lips have crossed.
    """
    lips = np.asarray(landmarks, np.float64)[..., INNER_LIPS, :2]
    following = np.roll(lips, -1, axis=-2)
    cross = lips[..., 0] * following[..., 1] - following[..., 0] * lips[..., 1]
    return 0.5 * cross.sum(-1)
