"""Detection of the 68 landmarks of a drawn face.

Detectors are made for photographs, and a single result on a drawing is often wrong. The face is
therefore detected in many views of the image (blurred, rotated, stretched, mirrored), their median
is taken where enough of them agree, and the jaw is fitted to the drawn contour.
"""

from __future__ import annotations

import itertools
import logging

import cv2
import numpy as np

from src.errors import InputError
from src.face.contours import fit_jaw
from src.face.detection import detect_landmarks
from src.face.detectors import candidates
from src.face.topology import mirror_order
from src.io.image import flatten
from thirdparty import face_mesh

BOX_VIEWS = tuple(itertools.product((640, 320), (0.0, 1 / 430, 1 / 215), (0.0, 0.5)))
"""Views for the box detector: longest side in pixels; blur and border as fractions of it."""

LEAST_BOX_VIEWS = 0.75
"""Fraction of those in which a face must be found. Up to half of them find one in noise."""

MESH_VIEWS = tuple(
    itertools.product((0.0, 1.5, 3.0, 5.0), (-0.12, 0.12), (0.9, 1.1), (False, True))
)
"""Views for the face mesh: blur in pixels, rotation in radians, stretch, mirrored or not."""

LEAST_MESH_VIEWS = 0.6
"""Fraction of those in which the mesh must find the face."""

VIEW_SIZE = 512  # pixels a side of a view for the mesh
VIEW_MARGIN = 2.0  # side of such a view in sides of the face's box
BOX_SCORE, MESH_SCORE = 0.5, 0.2  # least scores of the two detectors, 0-1
SAME_PLACE = 0.35  # largest distance of boxes of one face, in sides of the box
SAME_SIZE = 1.6  # largest ratio of their sides

log = logging.getLogger(__name__)


def detect_drawn_face(
    image: np.ndarray, detector: str = "auto", name: str = "the drawing"
) -> np.ndarray:
    """Detect the landmarks of the largest drawn face in an image.

    Args:
        image: uint8 BGR(A) (H, W, 3 or 4).
        detector: as for `detect_landmarks`.
        name: of the image in messages.

    Returns:
        (68, 2) pixels.

    Raises:
        InputError: no face is found, or none on which the views agree.
    """
    image = flatten(image)
    if candidates(detector)[0] != "mediapipe":
        return fit_jaw(image, detect_landmarks(image, detector, name)[:, :2])
    found = [_detect_boxes(image, *view) for view in BOX_VIEWS]
    if not any(map(len, found)):  # a face too small for these views
        return fit_jaw(image, detect_landmarks(image, "mediapipe", name)[:, :2])
    boxes = _agreed_boxes(found)
    if len(boxes) > 1:
        log.warning("%s: %d faces found, taking the largest", name, len(boxes))
    face = _median_face(image, max(boxes, key=lambda box: box[2])) if boxes else None
    if face is None:
        raise InputError(f"{name}: no face found with certainty")
    return fit_jaw(image, face)


def _detect_boxes(image: np.ndarray, side: int, blur: float, border: float) -> np.ndarray:
    """Boxes (N, 3) found in one view: centre (x, y) and side, in pixels of the image."""
    scale = side / max(image.shape[:2])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    view = cv2.resize(image, None, fx=scale, fy=scale, interpolation=interpolation)
    if blur:
        view = cv2.GaussianBlur(view, (0, 0), blur * side)
    margin = round(border * side)
    view = cv2.copyMakeBorder(view, *[margin] * 4, cv2.BORDER_REPLICATE)
    boxes = [
        (box.x + box.width / 2 - margin, box.y + box.height / 2 - margin, box.width)
        for box in face_mesh.find_faces(view, BOX_SCORE)
    ]
    return np.array(boxes).reshape(-1, 3) / scale


def _agreed_boxes(found: list[np.ndarray]) -> list[np.ndarray]:
    """Mean boxes (3,) of the faces found in enough of the views, each face once."""
    boxes = np.concatenate(found)
    view = np.repeat(np.arange(len(found)), [len(in_view) for in_view in found])
    agreed: list[np.ndarray] = []
    for box in boxes:
        same = _same_face(boxes, box)
        if len(set(view[same])) >= LEAST_BOX_VIEWS * len(found):
            mean = boxes[same].mean(0)
            if not any(_same_face(mean[None], other)[0] for other in agreed):
                agreed.append(mean)
    return agreed


def _same_face(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Mask of those of the boxes (N, 3) that are of the same face as one box (3,)."""
    distance = np.linalg.norm(boxes[:, :2] - box[:2], axis=1)
    ratio = np.abs(np.log(boxes[:, 2] / box[2]))
    return (distance < SAME_PLACE * box[2]) & (ratio < np.log(SAME_SIZE))


def _median_face(image: np.ndarray, box: np.ndarray) -> np.ndarray | None:
    """Median landmarks (68, 2) over the views of a box; None where too few show a face."""
    faces = []
    scale = VIEW_SIZE / (VIEW_MARGIN * box[2])
    # Blurred before it shrinks, against aliasing.
    smooth = cv2.GaussianBlur(image, (0, 0), 0.5 / scale) if scale < 0.7 else image
    interpolation = cv2.INTER_LINEAR if scale < 1 else cv2.INTER_CUBIC
    with face_mesh.FaceMesh(confidence=MESH_SCORE) as mesh:
        for blur, angle, stretch, mirrored in MESH_VIEWS:
            rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            linear = rotation * scale * np.sqrt([stretch, 1 / stretch])
            if mirrored:
                linear[0] *= -1
            shift = (VIEW_SIZE - 1) / 2 - linear @ box[:2]
            view = cv2.warpAffine(
                smooth,
                np.column_stack([linear, shift]),
                (VIEW_SIZE, VIEW_SIZE),
                flags=interpolation,
                borderMode=cv2.BORDER_REPLICATE,
            )
            found = mesh.landmarks(cv2.GaussianBlur(view, (0, 0), blur) if blur else view)
            if found:
                face = (found[0][:, :2] - shift) @ np.linalg.inv(linear).T
                faces.append(face[mirror_order()] if mirrored else face)
    if len(faces) < LEAST_MESH_VIEWS * len(MESH_VIEWS):
        return None
    return np.median(faces, axis=0)
