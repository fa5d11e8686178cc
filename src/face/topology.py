"""Which of the 68 landmarks is what (iBUG 300-W order; right and left are the subject's)."""

import numpy as np

from src.models.dimensions import LANDMARK_COUNT

JAW = slice(0, 17)
RIGHT_BROW = slice(17, 22)
LEFT_BROW = slice(22, 27)
BROWS = (RIGHT_BROW, LEFT_BROW)
NOSE = slice(27, 36)
NOSE_BRIDGE = slice(27, 31)
NOSTRILS = slice(31, 36)
RIGHT_EYE = slice(36, 42)
LEFT_EYE = slice(42, 48)
EYES = (RIGHT_EYE, LEFT_EYE)
EYES_TOGETHER = slice(36, 48)
OUTER_LIPS = slice(48, 60)
INNER_LIPS = slice(60, 68)
LIPS = slice(48, 68)
FACE_WITHOUT_LIPS = slice(0, 48)

OUTER_LIP_PAIRS = ((49, 59), (50, 58), (51, 57), (52, 56), (53, 55))
"""Upper and lower point of the outer lips that face each other."""

INNER_LIP_PAIRS = ((61, 67), (62, 66), (63, 65))
"""Upper and lower point of the inner lips that face each other."""

EYELID_PAIRS = ((37, 41), (38, 40), (43, 47), (44, 46))
"""Upper and lower lid points that face each other."""

RIGID_POINTS = (27, 28, 29, 30, 33, 36, 39, 42, 45)
"""Bridge and base of the nose and the corners of the eyes: they move with the skull only."""

NOSE_TIP = 30

OUTER_EYE_CORNERS = (36, 45)
"""Right and left."""

HEAD_POINTS = (0, 1, 2, 14, 15, 16, 27, 28, 29, 30, 31, 33, 35, 36, 39, 42, 45)
"""The rigid points and those of the upper jaw line, which move with the skull nearly."""

MOUTH_CORNERS = (48, 54)
"""Right and left, of the outer lips."""

UPPER_OUTER_LIP = (48, 49, 50, 51, 52, 53, 54)
LOWER_OUTER_LIP = (54, 55, 56, 57, 58, 59, 48)
UPPER_INNER_LIP = (60, 61, 62, 63, 64)
LOWER_INNER_LIP = (64, 65, 66, 67, 60)
"""Edges of the lips from corner to corner."""

EYELID_EDGES = (((36, 37, 38, 39), (36, 41, 40, 39)), ((42, 43, 44, 45), (42, 47, 46, 45)))
"""Upper and lower edge of the right and the left eye, in the direction of x in an image."""

NOSE_BRIDGE_TOP = NOSE_BRIDGE.start
"""The point that the published release rebuilds from the two below it."""

LANDMARK_CURVES = (
    ("jaw", JAW, False),
    ("right_brow", RIGHT_BROW, False),
    ("left_brow", LEFT_BROW, False),
    ("nose", NOSE, False),
    ("right_eye", RIGHT_EYE, True),
    ("left_eye", LEFT_EYE, True),
    ("outer_lips", OUTER_LIPS, True),
    ("inner_lips", INNER_LIPS, True),
)
"""(name, points, closed): the curves that are drawn, and along which points are neighbours."""


def curve_neighbours() -> tuple[tuple[int, int], ...]:
    """The two neighbours of each of the 68 points along its curve, in the order of the points.

    An end of an open curve has only one neighbour; it is given twice, so that the mean of the two
    is that neighbour.
    """
    neighbours = []
    for _, points, closed in LANDMARK_CURVES:
        indices = range(points.start, points.stop)
        last = len(indices) - 1
        for position in range(len(indices)):
            if closed:
                before, after = position - 1, (position + 1) % len(indices)
            else:
                before = position - 1 if position > 0 else 1
                after = position + 1 if position < last else last - 1
            neighbours.append((indices[before], indices[after]))
    return tuple(neighbours)


def mirror_order() -> np.ndarray:
    """(68,) indices: `points[mirror_order()]` are the mirrored face's points in iBUG order."""
    points = np.arange(LANDMARK_COUNT)
    order = points.copy()
    order[JAW] = points[JAW][::-1]
    order[RIGHT_BROW], order[LEFT_BROW] = points[LEFT_BROW][::-1], points[RIGHT_BROW][::-1]
    nostrils = slice(NOSE.stop - 5, NOSE.stop)
    order[nostrils] = points[nostrils][::-1]
    # Eyes and lips start at one corner and go round; the mirror starts at the other corner.
    swapped = [3, 2, 1, 0, 5, 4]
    order[RIGHT_EYE], order[LEFT_EYE] = points[LEFT_EYE][swapped], points[RIGHT_EYE][swapped]
    order[OUTER_LIPS] = points[OUTER_LIPS][[6, 5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7]]
    order[INNER_LIPS] = points[INNER_LIPS][[4, 3, 2, 1, 0, 7, 6, 5]]
    return order
