"""Finding the 68 landmarks of a drawn face.

Detectors know photographs. On a drawing one look is often wrong, so many are taken, softened,
turned, stretched and mirrored, and what they agree on counts. The jaw, which a detector lays where
a skull would have it, is then moved to the outline that was drawn, and eyes, nose and brows to the
ones that were (`drawn_features`).
"""

from __future__ import annotations

import itertools
import logging

import cv2
import numpy as np
from scipy.interpolate import CubicSpline

from src.errors import InputError
from src.face.detection import detect_landmarks
from src.face.drawn_features import lay_features
from src.face.geometry import evenly
from src.face.topology import (
    INNER_LIPS,
    JAW,
    LEFT_EYE,
    OUTER_LIPS,
    RIGHT_EYE,
    mirror_order,
)
from src.face.upright import in_lab
from src.io.image import flatten
from thirdparty import face_mesh, fan

LOOKS = tuple(itertools.product((640, 320), (0.0, 1 / 430, 1 / 215), (0.0, 0.5)))
"""Looks for boxes: the picture's longest side in pixels, blur and border as shares of it."""

LEAST_LOOKS = 0.75
"""Share of the looks that must see a face. Noise and one-eyed monsters are seen in up to half."""

VIEWS = tuple(itertools.product((0.0, 1.5, 3.0, 5.0), (-0.12, 0.12), (0.9, 1.1), (False, True)))
"""Views for the mesh: blur (pixels of `VIEW_SIDE`), turn (radians), stretch, mirrored."""

LEAST_VIEWS = 0.6
"""Share of the views in which the mesh must see the face that the box is of."""

VIEW_SIDE = 512
VIEW_MARGIN = 2.0  # sides of the box that a view shows
BOX_SCORE, MESH_SCORE = 0.5, 0.2  # least scores of the two detectors, 0-1
SAME_PLACE = 0.35  # of a box's width that boxes of one face lie apart at most
SAME_SIZE = 1.6  # factor between them at most

# The jaw's outline is looked for along normals of the detected jaw; lengths in widths of the jaw.
NORMALS = 81
REACH = np.arange(-0.10, 0.26, 0.006)  # along a normal, outwards
MOUTH_REACH = np.arange(-0.06, 0.03, 0.003)
RING = 72  # normals round a mouth without lips
ABOVE = 0.15  # how far the detected jaw is prolonged upwards
CHIN = 0.01  # how far above the lowest point the chin reaches, in whose middle point 8 is
END = 0.02  # how far above the eyes' middle points 0 and 16 are
SOFT = 0.008  # blur of the picture
CLEAR_EDGE = 15.0  # Lab difference over 4 steps of an edge that counts half
LINE_SIDE = 2  # steps from the middle of a drawn line to beside it
FINE = 0.004  # blur of the picture where lines are looked for
LINE = 1.25  # what a line counts against an edge: it has two, and the jaw runs between them
BENDING = 0.09  # cost of a step along the normal from one normal to the next, squared
LEAVING = 2.5  # cost of going away from the detected jaw, a width of it

log = logging.getLogger(__name__)


def detect_drawn(
    picture: np.ndarray, detector: str = "auto", name: str = "the drawing"
) -> np.ndarray:
    """The landmarks of the largest drawn face in a picture.

    Args:
        picture: uint8 (H, W, 3 or 4) BGR(A).
        detector: as `detect_landmarks`.
        name: for messages.

    Returns:
        (68, 2) pixels.

    Raises:
        InputError: no face is found, or none that the looks agree on.
    """
    picture = flatten(picture)
    if detector == "fan" or (detector == "auto" and fan.weights_on_disk()):
        face = detect_landmarks(picture, detector, name)[:, :2]
        return lay_drawn(picture, face)
    found = [boxes_seen(picture, *look) for look in LOOKS]
    if not any(map(len, found)):  # a face too small for so few pixels
        return lay_drawn(picture, detect_landmarks(picture, "mediapipe", name)[:, :2])
    boxes = agreed_boxes(found)
    if not boxes:
        raise InputError(f"{name}: no face found that one can be sure of")
    if len(boxes) > 1:
        log.warning("%s: %d faces found, taking the largest", name, len(boxes))
    face = agreed_face(picture, max(boxes, key=lambda box: box[2]))
    if face is None:
        raise InputError(f"{name}: no face found that one can be sure of")
    return lay_drawn(picture, face)


def lay_drawn(picture: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Landmarks (68, 2), as detected in a BGR picture, moved to what is drawn; a new array."""
    return lay_features(picture, lay_jaw(picture, face))


def boxes_seen(picture: np.ndarray, side: int, blur: float, border: float) -> np.ndarray:
    """One look: boxes (N, 3) as x and y of the centre and the side, in pixels of the picture."""
    scale = side / max(picture.shape[:2])
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    seen = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=mode)
    if blur:
        seen = cv2.GaussianBlur(seen, (0, 0), blur * side)
    margin = round(border * side)
    seen = cv2.copyMakeBorder(seen, *[margin] * 4, cv2.BORDER_REPLICATE)
    boxes = [
        (box.x + box.width / 2 - margin, box.y + box.height / 2 - margin, box.width)
        for box in face_mesh.find_faces(seen, BOX_SCORE)
    ]
    return np.array(boxes).reshape(-1, 3) / scale


def agreed_boxes(found: list[np.ndarray]) -> list[np.ndarray]:
    """Mean boxes (3,) of the faces that enough of the looks have seen, each face once."""
    boxes = np.concatenate(found)
    look = np.repeat(np.arange(len(found)), [len(seen) for seen in found])
    agreed: list[np.ndarray] = []
    for box in boxes:
        near = alike(boxes, box)
        if len(set(look[near])) < LEAST_LOOKS * len(found):
            continue
        mean = boxes[near].mean(0)
        if not any(alike(mean[None], other)[0] for other in agreed):
            agreed.append(mean)
    return agreed


def alike(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Which of boxes (N, 3) are of the same face as one (3,)."""
    apart = np.linalg.norm(boxes[:, :2] - box[:2], axis=1)
    factor = np.abs(np.log(boxes[:, 2] / box[2]))
    return (apart < SAME_PLACE * box[2]) & (factor < np.log(SAME_SIZE))


def agreed_face(picture: np.ndarray, box: np.ndarray) -> np.ndarray | None:
    """Median landmarks (68, 2) of many views of a box; None where too few show a face."""
    faces = []
    with face_mesh.FaceMesh(confidence=MESH_SCORE) as mesh:
        for blur, turn, stretch, mirrored in VIEWS:
            scale = VIEW_SIDE / (VIEW_MARGIN * box[2])
            turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
            linear = turned * scale * np.sqrt([stretch, 1 / stretch])
            if mirrored:
                linear[0] *= -1
            centre = (VIEW_SIDE - 1) / 2 - linear @ box[:2]
            # Where pixels are left out, they are averaged first.
            sharp = cv2.GaussianBlur(picture, (0, 0), 0.5 / scale) if scale < 0.7 else picture
            view = cv2.warpAffine(
                sharp,
                np.column_stack([linear, centre]),
                (VIEW_SIDE, VIEW_SIDE),
                flags=cv2.INTER_LINEAR if scale < 1 else cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_REPLICATE,
            )
            seen = mesh.landmarks(cv2.GaussianBlur(view, (0, 0), blur) if blur else view)
            if seen:
                face = (seen[0][:, :2] - centre) @ np.linalg.inv(linear).T
                faces.append(face[mirror_order()] if mirrored else face)
    if len(faces) < LEAST_VIEWS * len(VIEWS):
        return None
    return np.median(faces, axis=0)


def lay_jaw(picture: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Landmarks (68, 2) whose jaw lies on the outline drawn nearby; a new array.

    Both of its halves are spaced evenly from eye level to the chin. From eye level round the chin
    to eye level, that path across normals of the jaw is taken which follows clear edges and lines,
    bends little and stays near (dynamic programming, as active contours do it: Amini et al. 1990).
    """
    face = np.array(face, np.float64)
    width = np.linalg.norm(face[16] - face[0])
    across = (face[45] - face[36]) / np.linalg.norm(face[45] - face[36])
    down = np.array([-across[1], across[0]])
    jaw = CubicSpline(np.arange(17), face[JAW])(np.linspace(0, 16, 200))
    rise = width * ABOVE * np.linspace(0, 1, 10)[1:, None] * down
    start = evenly(np.concatenate([jaw[0] - rise[::-1], jaw, jaw[-1] - rise]), NORMALS)
    along = np.gradient(cv2.blur(start, (1, 9), borderType=cv2.BORDER_REPLICATE), axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    outwards = np.column_stack([-along[:, 1], along[:, 0]])
    if ((start - face.mean(0)) * outwards).sum() < 0:
        outwards = -outwards
    places = start[:, None] + width * REACH[:, None] * outwards[:, None]
    lab = in_lab(picture)
    edges = outline_costs(lab, places, width, REACH)
    path = REACH[least_path(np.minimum(edges, line_costs(lab, places, width, REACH)))]
    path = cv2.blur(path[:, None], (1, 7), borderType=cv2.BORDER_REPLICATE)
    outline = start + width * path * outwards

    eyes = face[RIGHT_EYE.start : LEFT_EYE.stop].mean(0)
    above = np.flatnonzero((outline - eyes) @ down < -END * width)
    middle = NORMALS // 2
    first = max(above[above < middle], default=0)
    last = min(above[above > middle], default=NORMALS - 1)
    outline = evenly(outline[first : last + 1], NORMALS)
    deep = (outline - eyes) @ down
    chin = round(np.flatnonzero(deep > deep.max() - CHIN * width).mean())
    halves = evenly(outline[: chin + 1], 9), evenly(outline[chin:], 9)
    face[JAW] = np.concatenate([halves[0], halves[1][1:]])
    return face


def lips_on_outline(picture: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Landmarks (68, 2) of a mouth without lips: the inner ones go to the outline drawn nearby.

    Detectors expect lips, so they see the drawn outline as their outer edge, and the inner edge
    somewhere inside the mouth. A new array; the corners of the inner lips move, too.
    """
    face = np.array(face, np.float64)
    width = np.linalg.norm(face[16] - face[0])
    # The ring thrice, so that its path ends where it begins.
    ring = evenly(np.concatenate([face[OUTER_LIPS], face[OUTER_LIPS][:1]]), RING + 1)[:-1]
    along = np.roll(ring, -3, axis=0) - np.roll(ring, 3, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    outwards = np.column_stack([along[:, 1], -along[:, 0]])
    places = ring[:, None] + width * MOUTH_REACH[:, None] * outwards[:, None]
    costs = outline_costs(in_lab(flatten(picture)), places, width, MOUTH_REACH)
    path = MOUTH_REACH[least_path(np.tile(costs, (3, 1)))][RING : 2 * RING]
    outline = ring + width * path[:, None] * outwards
    nearest = np.linalg.norm(ring[:, None] - face[OUTER_LIPS], axis=2).argmin(0)
    knots = outline[np.append(nearest, nearest[0])]
    # Twelve outer points for eight inner ones, both from corner to corner and round.
    place = np.linspace(0, 12, 8, endpoint=False)
    face[INNER_LIPS] = np.column_stack(
        [np.interp(place, np.arange(13), knots[:, axis]) for axis in (0, 1)]
    )
    return face


def outline_costs(
    lab: np.ndarray, places: np.ndarray, width: float, reach: np.ndarray
) -> np.ndarray:
    """What each place (N, M, 2) costs an outline: little on clear edges along it; (N, M).

    `lab` is the picture (`in_lab`), `width` the jaw's; `reach` (M,) is how many of it places lie
    off the outline detected.
    """
    colours = colours_at(lab, places, SOFT * width)
    edge = np.linalg.norm(colours[:, 4:] - colours[:, :-4], axis=2)
    edge = np.pad(edge, ((0, 0), (2, 2)))
    return LEAVING * np.abs(reach) - edge / (edge + CLEAR_EDGE)


def line_costs(lab: np.ndarray, places: np.ndarray, width: float, reach: np.ndarray) -> np.ndarray:
    """As `outline_costs`: little in the middle of clear dark lines."""
    light = colours_at(lab, places, FINE * width)[..., 0]
    beside = np.minimum(light[:, : -2 * LINE_SIDE], light[:, 2 * LINE_SIDE :])
    darker = np.maximum(0, beside - light[:, LINE_SIDE:-LINE_SIDE])
    darker = np.pad(darker, ((0, 0), (LINE_SIDE, LINE_SIDE)))
    return LEAVING * np.abs(reach) - LINE * darker / (darker + CLEAR_EDGE)


def colours_at(lab: np.ndarray, places: np.ndarray, blur: float) -> np.ndarray:
    """Colours (N, M, 3) at places (N, M, 2), averaged over a few rows; `blur` in pixels."""
    lab = cv2.GaussianBlur(lab, (0, 0), max(0.5, blur))
    colours = cv2.remap(
        lab, places.astype(np.float32), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return cv2.blur(colours, (1, 5), borderType=cv2.BORDER_REPLICATE)


def least_path(costs: np.ndarray) -> np.ndarray:
    """For each row of costs (N, M) a column (N,), so that costs and bending are least together."""
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
