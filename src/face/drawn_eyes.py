"""Laying the eyes of a drawn face where they are drawn, which may be dots or fill half the face.

All lengths are in widths of the jaw, in the frame of `upright`. The numbers were found by trial on
eleven drawn puppets, and on portraits that were to stay as they are.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import cv2
import numpy as np
from scipy.interpolate import CubicSpline

from src.face.topology import BROWS, EYES, LEFT_BROW, OUTER_LIPS
from src.face.upright import VIEW, clear, grid, in_view, values_at

# What is no eye: the colours between brows and jaw, but for what is near an eye, brow or mouth.
ROUND_EYE = (0.05, 0.16)  # left out beside the detected eye, and above and below its middle
BELOW_EYE = 0.04  # how far below the detected eye the middle of that is: drawn eyes reach down
ROUND_BROW = 0.08
ROUND_LIPS = 0.027
SAMPLES = 300  # colours taken at most
COMMON = 0.06  # a colour is the face's if such a share of the samples are near it
CLEAR_COLOUR = 15.0  # Lab difference that counts half

# Candidates for the eyes; sizes are factors of the detected widths and heights.
EYE_WIDTHS = np.exp(np.arange(-5, 4) * 0.18)
EYE_HEIGHTS = np.exp(np.arange(-3, 10) * 0.18)
EYE_ASIDE = np.arange(-3, 4) * 0.02
EYE_DOWN = np.append(-0.015, np.arange(6) * 0.02)  # what is above a detected eye is its brow
FLATTEST = 0.2  # least height in widths of an oval to begin with: eyes may be found shut
OVAL = np.array([(-1, 0), (-0.45, -0.9), (0.45, -0.9), (1, 0), (0.45, 0.9), (-0.45, 0.9)])
OUTLINE = 32  # points round an eye
LEAST_STEP = 1e-4  # points that coincide are taken to be so far apart
INSIDE, OUTSIDE = 0.012, 0.016  # distances from the outline at which its two sides are looked at
COARSE = 1.5  # factor of these in the first search
WORST = 0.5  # what the quarter of least contrast counts against the whole outline
FILLED = (0.3, 0.65)  # sizes of rings within an outline that tell whether it is filled
FILLING = 0.3  # what a filled outline scores against one of full contrast
GROWING, SHRINKING = 0.05, 0.2  # cost of a size e times and 1/e times the detected
EYE_LEAVING = 0.7  # cost of going away from the detected eye, a width of the jaw
REFINED = 12  # candidates that are searched round more finely
LEAST_CONTRAST = 0.185  # of an outline, 0-1; eyelids in photographs have less
LEAST_GAIN = 0.05  # by which a score must beat that of the detected eyes


class EyeFit(NamedTuple):
    """Both eyes of one shape and size, each at its best place."""

    score: float
    contrast: float  # of their outlines, -1 to 1
    shape: np.ndarray  # (2, 6, 2) points before scaling and moving
    scale: np.ndarray  # (2,) factors of width and height
    shift: np.ndarray  # (2, 2)


def unlike_face(lab: np.ndarray, face: np.ndarray) -> np.ndarray:
    """How unlike the skin and hair round the features each pixel of a view is, 0-1 (H, W)."""
    mask = np.zeros(lab.shape[:2], np.uint8)
    cv2.fillPoly(mask, [cv2.convexHull(in_view(face[: LEFT_BROW.stop]))], 1)
    for eye, brow in zip(EYES, BROWS, strict=True):
        beside = np.abs(face[eye][3, 0] - face[eye][0, 0]) / 2
        radii = in_view(np.array([beside, 0]) + ROUND_EYE) - in_view(np.zeros(2))
        middle = in_view(face[eye].mean(0) + (0, BELOW_EYE))
        cv2.ellipse(mask, middle.tolist(), radii.tolist(), 0, 0, 360, 0, -1)
        cv2.polylines(mask, [in_view(face[brow])], False, 0, round(ROUND_BROW * VIEW))
    lips = cv2.convexHull(in_view(face[OUTER_LIPS]))
    cv2.fillPoly(mask, [lips], 0)
    cv2.polylines(mask, [lips], True, 0, round(ROUND_LIPS * VIEW))
    colours = lab[mask > 0]
    if not len(colours):
        return np.zeros(mask.shape, np.float32)
    # Of all shades some; every so many pixels would beat with a pattern that is drawn.
    colours = colours[np.argsort(colours[:, 0])][:: -(-len(colours) // SAMPLES)]
    near = int(COMMON * len(colours))
    nearest = [
        np.partition(distances(row, colours), near, axis=1)[:, near]
        for row in lab  # all at once would be hundreds of megabytes
    ]
    return clear(np.array(nearest), CLEAR_COLOUR)


def distances(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distances (N, M) between colours (N, 3) and (M, 3)."""
    square = (some**2).sum(1)[:, None] + (others**2).sum(1) - 2 * some @ others.T
    return np.sqrt(np.maximum(0, square))


def lay_eyes(unlike: np.ndarray, face: np.ndarray) -> np.ndarray:
    """A face (68, 2) whose eyes are outlined as drawn; a new array.

    Both eyes get the shape - the detected one or an oval -, the size and each the place that sets
    what is inside apart from the face outside (`unlike_face`).
    """
    face = face.copy()
    detected = np.stack([face[eye] for eye in EYES])
    wide, high = np.ptp(detected, axis=1).mean(0)
    ovals = (detected.max(1, keepdims=True) + detected.min(1, keepdims=True)) / 2
    ovals = ovals + OVAL * (wide, max(high, FLATTEST * wide)) / 2
    shifts = np.stack([grid(EYE_ASIDE, EYE_DOWN)] * 2)
    fits = [
        fit
        for shape in (detected, ovals)
        for fit in eye_fits(unlike, shape, EYE_WIDTHS, EYE_HEIGHTS, shifts, COARSE)
    ]
    best = max(
        (
            refined(unlike, fit)
            for fit in sorted(fits, key=lambda fit: fit.score, reverse=True)[:REFINED]
        ),
        key=lambda fit: fit.score,
    )
    one = np.ones(1)
    before = eye_fits(unlike, detected, one, one, np.zeros((2, 1, 2)))[0]
    if best.score > before.score + LEAST_GAIN and best.contrast > LEAST_CONTRAST:
        middle = best.shape.mean(1, keepdims=True)
        laid = middle + (best.shape - middle) * best.scale + best.shift[:, None]
        for eye, points in zip(EYES, laid, strict=True):
            face[eye] = points
    return face


def eye_fits(
    unlike: np.ndarray,
    shape: np.ndarray,
    widths: np.ndarray,
    heights: np.ndarray,
    shifts: np.ndarray,
    coarse: float = 1.0,
) -> list[EyeFit]:
    """For each size of a shape (2, 6, 2) the best of the shifts (2, S, 2)."""
    middles = shape.mean(1, keepdims=True)
    curves = np.stack([closed_curve(points) for points in shape - middles])
    away = EYE_LEAVING * np.linalg.norm(shifts, axis=2)
    fits = []
    for scale in itertools.product(widths, heights):
        change = np.log(scale)
        cost = (GROWING * np.maximum(change, 0) + SHRINKING * np.maximum(-change, 0)).sum()
        scores, contrasts, places = [], [], []
        for curve, middle, moves, far in zip(curves * scale, middles, shifts, away, strict=True):
            contrast, filling = outline_scores(unlike, curve, middle + moves, coarse)
            score = contrast + FILLING * filling - far
            best = score.argmax()
            scores.append(score[best])
            contrasts.append(contrast[best])
            places.append(moves[best])
        fits.append(
            EyeFit(
                float(np.mean(scores) - cost),
                float(np.mean(contrasts)),
                shape,
                np.array(scale),
                np.array(places),
            )
        )
    return fits


def refined(unlike: np.ndarray, fit: EyeFit) -> EyeFit:
    """The best fit near one of the coarse search."""
    for step in (0.01, 0.005, 0.0025):
        near = np.array([-step, 0, step])
        sizes = np.exp(10 * near)  # an eye is a tenth of a jaw, so its edges move alike
        fit = max(
            eye_fits(
                unlike,
                fit.shape,
                fit.scale[0] * sizes,
                fit.scale[1] * sizes,
                fit.shift[:, None] + grid(near, near),
            ),
            key=lambda fit: fit.score,
        )
    return fit


def closed_curve(points: np.ndarray) -> np.ndarray:
    """A smooth curve (OUTLINE, 2) through points (N, 2) and back to the first."""
    ring = np.vstack([points, points[:1]])
    steps = np.linalg.norm(np.diff(ring, axis=0), axis=1)
    along = np.append(0, np.cumsum(np.maximum(steps, LEAST_STEP)))
    spline = CubicSpline(along, ring, bc_type="periodic")
    return spline(np.linspace(0, along[-1], OUTLINE, endpoint=False))


def outline_scores(
    unlike: np.ndarray, curve: np.ndarray, middles: np.ndarray, coarse: float
) -> tuple[np.ndarray, np.ndarray]:
    """Contrast (S,) across a curve (N, 2) laid round middles (S, 2), and how filled it is (S,)."""
    along = np.roll(curve, -1, 0) - np.roll(curve, 1, 0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), LEAST_STEP)
    outwards = np.column_stack([along[:, 1], -along[:, 0]])
    rings = (
        curve - coarse * INSIDE * outwards,
        curve + coarse * OUTSIDE * outwards,
        *(size * curve for size in FILLED),
    )
    inside, outside, *filling = (values_at(unlike, middles[:, None] + ring) for ring in rings)
    edge = inside - outside
    quarters = np.roll(edge, OUTLINE // 8, axis=1).reshape(len(edge), 4, -1).mean(2)
    contrast = (1 - WORST) * edge.mean(1) + WORST * quarters.min(1)
    return contrast, np.mean(filling, axis=(0, 2))
