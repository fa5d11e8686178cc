"""Laying the eyes, nose and brows of a drawn face where they are drawn.

Detectors put them where a human's would be. Drawn eyes may be dots or fill half the face, a nose
may be one stroke, and brows may hang in the hair. Each is looked for near the place detected, and
moved only where something clear is drawn there.

All lengths are in widths of the jaw, in the frame of `upright`. The numbers were found by trial on
eleven drawn puppets, and on portraits that were to stay as they are.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import cv2
import numpy as np
from scipy.interpolate import CubicSpline

from src.face.drawn_eyes import LEAST_STEP, lay_eyes, unlike_face
from src.face.geometry import evenly
from src.face.topology import (
    BROWS,
    EYES,
    LEFT_EYE,
    NOSE,
    NOSE_BRIDGE,
    NOSTRILS,
    OUTER_LIPS,
    RIGHT_EYE,
)
from src.face.upright import VIEW, VIEW_ORIGIN, clear, grid, in_view, upright_view, values_at
from src.io.image import flatten

# A nose drawn as one stroke.
STROKE = 0.06  # wider dark places are shades
NOSE_TOP = 0.42  # where it may begin, from the eyes (0) to the upper lip (1)
NOSE_ASIDE = 0.2
ABOVE_LIP = 0.02
RIM = 0.04  # of the place searched, where strokes do not count
DARK, DARKEST = 10.0, 20.0  # lightness (0-100) by which a stroke is darker all over, and somewhere
LONE = 0.75  # least share of the ink near the nose that is in the stroke: nostrils are two
LONG = 0.6  # in detected widths of the nose: a longer stroke is its base, a shorter one its tip
BESIDE = 0.04  # a short stroke so far from the middle, and no such way above the base, is a nostril
STROKE_END = 0.01  # how far within a stroke's ends the outer points are
SMALL_NOSE = 0.07  # least width of a nose

# Candidates for the brows.
BROW_POINTS = 15
BROW_WIDTHS = np.exp(np.arange(-3, 2) * 0.12)  # factors of the detected widths
BROW_ARCHES = (0.0, 0.5, 1.0, 1.5)  # factors of the detected heights over the chord
BROW_TILTS = (-0.1, 0.0, 0.1)  # slopes added
BROW_ASIDE = np.arange(-4, 5) * 0.015
BROW_DOWN = np.arange(-14, 9) * 0.01
BROW_HALVES = (0.012, 0.018, 0.027, 0.04)  # half the thickness
TAPER = 0.5  # share of its thickness that a brow loses at its ends
IN_BROW, OFF_BROW = 0.010, 0.016  # how far within its edges and beyond them it is looked at
BEYOND = 0.025  # where it must have ended
ENDING = 0.3  # what ends count against the length
CLEAR_BROW = 15.0  # lightness by which a brow is darker that counts half
BROW_LEAVING = 1.0  # cost of going away from the detected brow, a width of the jaw
BROW_SIZING = 0.5  # cost of a width e times or 1/e times the detected
BENDING_BROW, TILTING = 0.05, 0.5  # cost of a change of the arch by one and of the slope by one
CLEAR_SCORE, CLEARER = 0.33, 0.15  # least score, and least gain on that of the detected brow
ON_LID = 0.05  # nearer to the upper lid are lashes and creases
FAINT_SCORE = 0.05  # least score if what was detected is no brow


class BrowFit(NamedTuple):
    """The best dark band near a brow."""

    score: float  # -1 to 1, less what it costs to go there; -inf on the lid
    band: np.ndarray  # (5, 2)
    before: float  # score of the detected brow


def lay_features(picture: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Landmarks whose eyes, nose and brows lie on what is drawn near them.

    Args:
        picture: uint8 (H, W, 3 or 4) BGR(A).
        face: (68, 2) pixels, its jaw as wide as drawn. Jaw and lips are taken as they are.

    Returns:
        (68, 2) pixels, a new array; what is not drawn clearly stays exactly where it was.
    """
    face = np.array(face, np.float64)
    lab, linear, origin = upright_view(flatten(picture), face)
    seen = (face - origin) @ linear.T
    laid = lay_eyes(unlike_face(lab, seen), seen)
    laid = lay_nose(lab[..., 0], laid)
    laid = lay_brows(lab[..., 0], laid, seen)
    moved = (laid != seen).any(1)
    face[moved] = laid[moved] @ np.linalg.inv(linear).T + origin
    return face


def lay_nose(lightness: np.ndarray, face: np.ndarray) -> np.ndarray:
    """A face (68, 2) whose nose lies on the one stroke it is drawn as; a new array.

    A long stroke is the nose's base; of a short one, the nose's tip, a small base is laid beneath.
    The bridge keeps its upper end.
    """
    face = face.copy()
    eyes = face[RIGHT_EYE.start : LEFT_EYE.stop, 1].mean()
    lip = face[OUTER_LIPS, 1].min()
    middle = face[NOSE, 0].mean()
    (left, top), (right, bottom) = in_view(
        np.array(
            [
                (middle - NOSE_ASIDE, eyes + NOSE_TOP * (lip - eyes)),
                (middle + NOSE_ASIDE, lip - ABOVE_LIP),
            ]
        )
    )
    side = round(STROKE * VIEW) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    dark = cv2.morphologyEx(lightness, cv2.MORPH_BLACKHAT, kernel)
    dark = dark[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    stroke = lone_stroke(dark)
    if stroke is None:
        return face
    x, y = (stroke + (max(left, 0), max(top, 0))).T / VIEW - np.array(VIEW_ORIGIN)[:, None]

    base = face[NOSTRILS]
    width = np.ptp(base[:, 0])
    long = np.ptp(x)
    beside = abs(x.mean() - base[:, 0].mean()) > BESIDE
    if beside and long <= LONG * width and base[:, 1].mean() - y.mean() < BESIDE:
        return face  # a nostril
    if long > LONG * width:
        across = np.linspace(x.min() + STROKE_END, x.max() - STROKE_END, len(base))
        laid = [(place, y[np.abs(x - place) <= long / 10].mean()) for place in across]
    else:
        smaller = max(long, SMALL_NOSE) / width
        laid = (x.mean(), y.max()) + smaller * (base - base.mean(0))
    shift = np.mean(laid, axis=0) - base.mean(0)
    top = face[NOSE_BRIDGE][0, 1]
    length = max(base[:, 1].mean() - top, SMALL_NOSE)
    share = np.clip((face[NOSE_BRIDGE, 1] - top) / length, 0, 1)
    face[NOSE_BRIDGE] += share[:, None] * shift
    face[NOSTRILS] = laid
    return face


def lone_stroke(dark: np.ndarray) -> np.ndarray | None:
    """Pixels (N, 2) of the one dark stroke in (H, W); None where there are none or several."""
    rim = round(RIM * VIEW)
    if min(dark.shape) <= 2 * rim:
        return None
    count, labels, boxes, _ = cv2.connectedComponentsWithStats((dark > DARK).astype(np.uint8))
    inner = slice(rim, -rim), slice(rim, -rim)  # hair reaches in from the rim
    ink = np.bincount(labels[inner].ravel(), dark[inner].ravel(), count)
    ink[0] = 0
    most = ink.argmax()
    left, top, width, height = boxes[most, :4]
    cut = left == 0 or top == 0 or left + width == dark.shape[1] or top + height == dark.shape[0]
    if cut or ink[most] < LONE * ink.sum() or dark[labels == most].max() < DARKEST:
        return None
    return np.argwhere(labels == most)[:, ::-1]


def lay_brows(lightness: np.ndarray, face: np.ndarray, detected: np.ndarray) -> np.ndarray:
    """A face (68, 2) whose brows lie on the dark bands above its eyes; a new array.

    Args:
        lightness: (H, W), a view, 0-100.
        face: eyes as laid, brows as detected.
        detected: all as detected.
    """
    face = face.copy()
    fits = []
    for brow, eye in zip(BROWS, EYES, strict=True):
        lid = face[eye, 1].min()
        higher = max(0.0, detected[eye, 1].min() - lid)
        fits.append(brow_fit(lightness, face[brow], lid, higher))
    before = np.mean([fit.before for fit in fits])
    # What was detected on the lid itself is no brow: something faint will do.
    least = max(before + CLEARER, CLEAR_SCORE) if np.isfinite(before) else FAINT_SCORE
    if np.mean([fit.score for fit in fits]) > least:
        for brow, fit in zip(BROWS, fits, strict=True):
            face[brow] = fit.band
    return face


def brow_fit(lightness: np.ndarray, brow: np.ndarray, lid: float, higher: float) -> BrowFit:
    """The best dark band near a brow.

    Args:
        lightness: (H, W), a view, 0-100.
        brow: (5, 2) as detected.
        lid: height (y) of the eye's upper lid.
        higher: how far that is above the detected lid; so much higher the brow is expected, too.
    """
    place = np.linspace(0, 1, BROW_POINTS)
    curve = CubicSpline(np.linspace(0, 1, len(brow)), brow)(place) - (0, higher)
    middle = curve.mean(0)
    curve = curve - middle
    rise, run = curve[-1, 1] - curve[0, 1], curve[-1, 0] - curve[0, 0]
    slope = rise / run if run > LEAST_STEP else 0.0
    arch = curve[:, 1] - slope * curve[:, 0]
    shifts = grid(BROW_ASIDE, BROW_DOWN)
    # Of the detected height and that which went up with the lid, the nearer one is left.
    down = np.minimum(np.abs(shifts[:, 1]), np.abs(shifts[:, 1] - higher))
    leaving = BROW_LEAVING * np.hypot(shifts[:, 0], down)
    leaving[middle[1] + shifts[:, 1] > lid - ON_LID] = np.inf
    as_detected = np.hypot(shifts[:, 0], shifts[:, 1] - higher).argmin()

    best, band, before = -np.inf, brow, -np.inf
    for width, arched, tilt in itertools.product(BROW_WIDTHS, BROW_ARCHES, BROW_TILTS):
        x = width * curve[:, 0]
        shape = np.column_stack([x, (slope + tilt) * x + width * arched * arch])
        cost = BROW_SIZING * abs(np.log(width)) + BENDING_BROW * abs(arched - 1)
        cost = cost + TILTING * abs(tilt) + leaving
        for half in BROW_HALVES:
            scores = band_scores(lightness, shape, half, middle + shifts) - cost
            if width == 1 and arched == 1 and tilt == 0:
                before = max(before, float(scores[as_detected]))
            if scores.max() > best:
                best = float(scores.max())
                band = evenly(middle + shape + shifts[scores.argmax()], len(brow))
    return BrowFit(best, band, before)


def band_scores(
    lightness: np.ndarray, curve: np.ndarray, half: float, middles: np.ndarray
) -> np.ndarray:
    """How clearly dark bands along a curve (N, 2) laid round middles (S, 2) stand out, -1 to 1."""
    along = np.gradient(curve, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), LEAST_STEP)
    upwards = np.column_stack([along[:, 1], -along[:, 0]])
    thick = half * (1 - TAPER * np.linspace(-1, 1, len(curve))[:, None] ** 2)
    within, beyond = np.maximum(thick - IN_BROW, 0) * upwards, (thick + OFF_BROW) * upwards
    ends = np.array([curve[0] - BEYOND * along[0], curve[-1] + BEYOND * along[-1]])

    def light(places: np.ndarray) -> np.ndarray:
        return values_at(lightness, middles[:, None] + places)

    middle, above, below = light(curve), light(curve + beyond), light(curve - beyond)
    edges = np.minimum(above - light(curve + within), below - light(curve - within))
    sides = np.minimum(edges, np.minimum(above, below) - middle)
    ending = light(ends) - middle[:, [0, -1]]
    clearness = [clear(part, CLEAR_BROW).mean(1) for part in (sides, ending)]
    return (1 - ENDING) * clearness[0] + ENDING * clearness[1]
