"""Indices of the 68 landmarks in iBUG 300-W order; right and left are the subject's."""

import numpy as np

from src.models.dimensions import LANDMARK_COUNT

JAW = slice(0, 17)
RIGHT_BROW = slice(17, 22)
LEFT_BROW = slice(22, 27)
NOSE = slice(27, 36)
RIGHT_EYE = slice(36, 42)
LEFT_EYE = slice(42, 48)
OUTER_LIPS = slice(48, 60)
INNER_LIPS = slice(60, 68)

BROWS = (RIGHT_BROW, LEFT_BROW)
EYES = (RIGHT_EYE, LEFT_EYE)
BOTH_EYES = slice(36, 48)
LIPS = slice(48, 68)
FACE_WITHOUT_LIPS = slice(0, 48)

JAW_ENDS = (0, 16)
CHIN = 8
NOSE_BRIDGE_TOP = 27  # the point that the published release rebuilds from the two below it
NOSE_TIP = 30
EYE_CORNERS = ((36, 39), (42, 45))  # of the right and the left eye, in order of growing x
OUTER_EYE_CORNERS = (36, 45)
MOUTH_CORNERS = (48, 54)
# Without the corners of the mouth, which belong to the upper lip as well.
LOWER_LIP = (55, 56, 57, 58, 59, 65, 66, 67)

# Upper and lower points that face each other.
OUTER_LIP_PAIRS = ((49, 59), (50, 58), (51, 57), (52, 56), (53, 55))
INNER_LIP_PAIRS = ((61, 67), (62, 66), (63, 65))
CENTRAL_INNER_LIPS = (62, 66)
EYELID_PAIRS = ((37, 41), (38, 40), (43, 47), (44, 46))

LIP_FOLLOWERS = {
    (61, 67): ((49, 59), (50, 58)),
    (62, 66): ((51, 57),),
    (63, 65): ((52, 56), (53, 55)),
}
"""The outer pairs that follow when an inner pair closes or parts."""

SIDE_LIP_PAIRS = ((49, 59), (53, 55))
"""The outer pairs next to the corners of the mouth."""

RIGID_POINTS = [27, 28, 29, 30, 33, 36, 39, 42, 45]
"""Bridge and base of the nose and the corners of the eyes, which move with the skull only."""

HEAD_POINTS = [0, 1, 2, 14, 15, 16, 27, 28, 29, 30, 31, 33, 35, 36, 39, 42, 45]
"""The rigid points and those of the upper jaw line, which nearly move with the skull."""

# Edges of the lips from corner to corner.
UPPER_OUTER_LIP = [48, 49, 50, 51, 52, 53, 54]
LOWER_OUTER_LIP = [54, 55, 56, 57, 58, 59, 48]
UPPER_INNER_LIP = [60, 61, 62, 63, 64]
LOWER_INNER_LIP = [64, 65, 66, 67, 60]

# Upper and lower edge of the right and the left eye, in the direction of x in an image.
EYELID_EDGES = (([36, 37, 38, 39], [36, 41, 40, 39]), ([42, 43, 44, 45], [42, 47, 46, 45]))

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
"""(name, points, closed) of the curves that are drawn, along which points are neighbours."""


# Eyes and lips start at one corner and go round; the mirror image starts at the other corner.
_MIRRORED_EYES = np.r_[45:41:-1, 47:45:-1, 39:35:-1, 41:39:-1]
_MIRRORED_LIPS = np.r_[54:47:-1, 59:54:-1, 64:59:-1, 67:64:-1]
MIRRORED = np.r_[16:-1:-1, 26:16:-1, 27:31, 35:30:-1, _MIRRORED_EYES, _MIRRORED_LIPS]
"""(68,) indices: `points[MIRRORED]` are the mirrored face's points in iBUG order."""


def curve_neighbours() -> np.ndarray:
    """(68, 2) indices of the two neighbours of each point along its curve.

    An end of an open curve has one neighbour, which is given twice: it is the mean of the two.
    """
    neighbours = np.empty((LANDMARK_COUNT, 2), int)
    for _, curve, closed in LANDMARK_CURVES:
        points = np.pad(np.r_[curve], 1, "wrap" if closed else "reflect")
        neighbours[curve] = np.column_stack([points[:-2], points[2:]])
    return neighbours
