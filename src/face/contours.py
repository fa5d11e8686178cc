"""Fitting contours of drawn faces: the jaw, and the outline of a mouth without lips.

Detectors place the jaw where a skull would have it, and expect every mouth to have lips. Along
normals of the detected contour, dynamic programming finds the path that follows clear edges and
lines, bends little and stays near (active contours: Amini et al. 1990).
"""

import cv2
import numpy as np
from scipy.interpolate import CubicSpline

from src.face.geometry import jaw_width
from src.face.topology import BOTH_EYES, INNER_LIPS, JAW, OUTER_EYE_CORNERS, OUTER_LIPS
from src.io.image import flatten

# Lengths are in widths of the jaw.
NORMALS = 81  # along the jaw
JAW_REACH = np.arange(-0.10, 0.26, 0.006)  # samples along a normal, outwards
EXTENSION = 0.15  # length by which the detected jaw is extended upwards at both ends
CHIN_DEPTH = 0.01  # the chin is what lies at most this far above the contour's lowest point
TOP = 0.02  # height of the jaw's ends above the centre of the eyes
MOUTH_NORMALS = 72  # round the mouth
MOUTH_REACH = np.arange(-0.06, 0.03, 0.003)

EDGE_BLUR = 0.008
EDGE_STEPS = 4  # samples between the two sides of an edge
LINE_BLUR = 0.004
LINE_STEPS = 2  # samples from the middle of a drawn line to either side
CLEAR_CONTRAST = 15.0  # CIE Lab difference at which an edge or a line scores half
LINE_WEIGHT = 1.25  # a line has two edges, and the jaw runs between them
BENDING = 0.09  # cost of a step of one sample from one normal to the next, squared
DISTANCE = 2.5  # cost of a width of the jaw between path and detected contour


def fit_jaw(image: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Move the jaw of a detected face (68, 2) in pixels to the contour drawn near it.

    Args:
        image: uint8 BGR(A) (H, W, 3 or 4).
        face: landmarks, which stay as they are.

    Returns:
        A new (68, 2) array. The jaw runs from eye level round the chin (point 8) to eye level; its
        two halves are spaced evenly.
    """
    face = np.array(face, np.float64)
    width = jaw_width(face)
    down = _normals(np.diff(face[list(OUTER_EYE_CORNERS)], axis=0))[0]
    jaw = CubicSpline(np.arange(17), face[JAW])(np.linspace(0, 16, 200))
    rise = width * EXTENSION * np.linspace(0, 1, 10)[1:, None] * down
    curve = _resampled(np.concatenate([jaw[0] - rise[::-1], jaw, jaw[-1] - rise]), NORMALS)
    normals = _normals(np.gradient(_smoothed(curve, 9), axis=0))
    samples = curve[:, None] + width * JAW_REACH[:, None] * normals[:, None]
    lab = _lab(image)
    scores = np.maximum(_edge_scores(lab, samples, width), _line_scores(lab, samples, width))
    path = JAW_REACH[_cheapest_path(DISTANCE * np.abs(JAW_REACH) - scores)]
    contour = curve + width * _smoothed(path[:, None], 7) * normals

    eyes = face[BOTH_EYES].mean(0)
    above = np.flatnonzero((contour - eyes) @ down < -TOP * width)
    middle = NORMALS // 2
    first = max(above[above < middle], default=0)
    last = min(above[above > middle], default=NORMALS - 1)
    contour = _resampled(contour[first : last + 1], NORMALS)
    depth = (contour - eyes) @ down
    chin = round(np.flatnonzero(depth > depth.max() - CHIN_DEPTH * width).mean())
    face[JAW] = np.concatenate(
        [_resampled(contour[: chin + 1], 9), _resampled(contour[chin:], 9)[1:]]
    )
    return face


def fit_inner_lips(image: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Move the inner lips, with their corners, of a mouth drawn without lips to its outline.

    Detectors take such an outline for the outer edge of lips and place the inner edge inside it.
    Arguments and result are as for `fit_jaw`.
    """
    face = np.array(face, np.float64)
    width = jaw_width(face)
    lips = face[OUTER_LIPS]
    ring = _resampled(np.concatenate([lips, lips[:1]]), MOUTH_NORMALS + 1)[:-1]
    normals = _normals(np.roll(ring, 3, axis=0) - np.roll(ring, -3, axis=0))
    samples = ring[:, None] + width * MOUTH_REACH[:, None] * normals[:, None]
    costs = DISTANCE * np.abs(MOUTH_REACH) - _edge_scores(_lab(image), samples, width)
    # Three times round, so that the middle round ends where it begins.
    path = MOUTH_REACH[_cheapest_path(np.tile(costs, (3, 1)))][MOUTH_NORMALS : 2 * MOUTH_NORMALS]
    contour = ring + width * path[:, None] * normals
    nearest = np.linalg.norm(ring[:, None] - lips, axis=2).argmin(0)
    knots = contour[np.append(nearest, nearest[0])]
    # Twelve outer points for eight inner ones; both go round from corner to corner.
    face[INNER_LIPS] = _interpolated(np.linspace(0, 12, 8, endpoint=False), np.arange(13), knots)
    return face


def _resampled(curve: np.ndarray, count: int) -> np.ndarray:
    """Points (count, 2) at equal distances along a curve (N, 2)."""
    lengths = np.linalg.norm(np.diff(curve, axis=0), axis=1)
    position = np.concatenate([[0], np.cumsum(lengths)])
    return _interpolated(np.linspace(0, position[-1], count), position, curve)


def _interpolated(places: np.ndarray, position: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (M, 2) at places (M,) between points (N, 2) at positions (N,)."""
    return np.column_stack([np.interp(places, position, axis) for axis in points.T])


def _normals(tangents: np.ndarray) -> np.ndarray:
    """Unit vectors at right angles to tangents (N, 2), outward where those run as the jaw's do."""
    normals = np.column_stack([-tangents[:, 1], tangents[:, 0]])
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _lab(image: np.ndarray) -> np.ndarray:
    """CIE Lab float32 (H, W, 3) of a uint8 image, lightness 0-100."""
    return cv2.cvtColor(flatten(image).astype(np.float32) / 255, cv2.COLOR_BGR2Lab)


def _smoothed(rows: np.ndarray, count: int) -> np.ndarray:
    """Moving average over `count` rows."""
    return cv2.blur(rows, (1, count), borderType=cv2.BORDER_REPLICATE)


def _edge_scores(lab: np.ndarray, samples: np.ndarray, width: float) -> np.ndarray:
    """Score (N, M) of samples (N, M, 2) along N normals: near 1 on clear edges across them."""
    colours = _colours(lab, samples, EDGE_BLUR * width)
    contrast = np.linalg.norm(colours[:, EDGE_STEPS:] - colours[:, :-EDGE_STEPS], axis=2)
    contrast = np.pad(contrast, ((0, 0), (EDGE_STEPS // 2, EDGE_STEPS // 2)))
    return contrast / (contrast + CLEAR_CONTRAST)


def _line_scores(lab: np.ndarray, samples: np.ndarray, width: float) -> np.ndarray:
    """As `_edge_scores`, in the middle of clear dark lines; near `LINE_WEIGHT` at most."""
    lightness = _colours(lab, samples, LINE_BLUR * width)[..., 0]
    sides = np.minimum(lightness[:, : -2 * LINE_STEPS], lightness[:, 2 * LINE_STEPS :])
    contrast = np.maximum(0, sides - lightness[:, LINE_STEPS:-LINE_STEPS])
    contrast = np.pad(contrast, ((0, 0), (LINE_STEPS, LINE_STEPS)))
    return LINE_WEIGHT * contrast / (contrast + CLEAR_CONTRAST)


def _colours(lab: np.ndarray, samples: np.ndarray, blur: float) -> np.ndarray:
    """Colours (N, M, 3) at samples (N, M, 2), averaged over neighbouring normals."""
    lab = cv2.GaussianBlur(lab, (0, 0), max(0.5, blur))
    samples = samples.astype(np.float32)
    return _smoothed(
        cv2.remap(lab, samples, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), 5
    )


def _cheapest_path(costs: np.ndarray) -> np.ndarray:
    """Column (N,) for each row of costs (N, M) that minimises the sum of costs and bending."""
    columns = np.arange(costs.shape[1])
    bending = BENDING * (columns[:, None] - columns) ** 2
    total, came_from = costs[0], []
    for row in costs[1:]:
        both = total + bending  # [to, from]
        came_from.append(both.argmin(1))
        total = both.min(1) + row
    path = [int(total.argmin())]
    for back in reversed(came_from):
        path.append(int(back[path[-1]]))
    return np.array(path[::-1])
