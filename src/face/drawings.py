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
from src.face.topology import MIRRORED
from src.io.image import flatten
from thirdparty import face_mesh

# Views for the box detector: longest side in pixels; blur and border as fractions of it.
BOX_VIEWS = tuple(itertools.product((640, 320), (0.0, 1 / 430, 1 / 215), (0.0, 0.5)))
# Fraction of them in which a face must be found. Up to half of them find one in noise.
LEAST_BOX_VIEWS = 0.75

# Views for the face mesh: blur in pixels, rotation in radians, stretch, mirrored or not.
MESH_VIEWS = tuple(itertools.product((0, 1.5, 3, 5), (-0.12, 0.12), (0.9, 1.1), (False, True)))
LEAST_MESH_VIEWS = 0.6  # fraction of them in which the mesh must find the face

VIEW_SIZE = 512  # pixels a side of a view for the mesh
VIEW_MARGIN = 2.0  # side of such a view in sides of the face's box
MESH_SCORE = 0.2  # least score of the mesh, 0-1
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
    views = BOX_VIEWS if candidates(detector)[0] == "mediapipe" else ()
    found = [_detect_boxes(image, *view) for view in views]
    if not any(map(len, found)):  # another detector, or a face too small for these views
        return fit_jaw(image, detect_landmarks(image, detector, name)[:, :2])
    boxes = _agreed_boxes(found)
    if len(boxes) > 1:
        log.warning("%s: %d faces found, taking the largest", name, len(boxes))
    faces = _detect_in_views(image, max(boxes, key=lambda box: box[2])) if boxes else []
    if len(faces) < LEAST_MESH_VIEWS * len(MESH_VIEWS):
        raise InputError(f"{name}: no face found with certainty")
    return fit_jaw(image, np.median(faces, axis=0))


def _detect_boxes(image: np.ndarray, side: int, blur: float, border: float) -> np.ndarray:
    """Boxes (N, 3) found in one view: centre (x, y) and side, in pixels of the image."""
    scale = side / max(image.shape[:2])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    view = cv2.resize(image, None, fx=scale, fy=scale, interpolation=interpolation)
    if blur:
        view = cv2.GaussianBlur(view, (0, 0), blur * side)
    margin = round(border * side)
    view = cv2.copyMakeBorder(view, *[margin] * 4, cv2.BORDER_REPLICATE)
    return (face_mesh.find_faces(view)[:, :3] - [margin, margin, 0]) / scale


def _agreed_boxes(found: list[np.ndarray]) -> list[np.ndarray]:
    """Mean boxes (3,) of the faces found in enough of the views, each face once."""
    boxes = np.concatenate(found)
    view = np.repeat(np.arange(len(found)), [len(in_view) for in_view in found])
    agreed: list[np.ndarray] = []
    for box in boxes:
        same = _same_face(boxes, box)
        mean = boxes[same].mean(0)
        enough = len(set(view[same])) >= LEAST_BOX_VIEWS * len(found)
        if enough and not any(_same_face(mean, other) for other in agreed):
            agreed.append(mean)
    return agreed


def _same_face(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Mask (...,) of those of the boxes (..., 3) that are of the same face as one box (3,)."""
    distance = np.linalg.norm(boxes[..., :2] - box[:2], axis=-1)
    ratio = np.abs(np.log(boxes[..., 2] / box[2]))
    return (distance < SAME_PLACE * box[2]) & (ratio < np.log(SAME_SIZE))


def _detect_in_views(image: np.ndarray, box: np.ndarray) -> list[np.ndarray]:
    """Landmarks (68, 2) found in the views of a box."""
    faces = []
    scale = VIEW_SIZE / (VIEW_MARGIN * box[2])
    # Blurred before it shrinks, against aliasing.
    smooth = cv2.GaussianBlur(image, (0, 0), 0.5 / scale) if scale < 0.7 else image
    size, interpolation = (VIEW_SIZE, VIEW_SIZE), cv2.INTER_LINEAR if scale < 1 else cv2.INTER_CUBIC
    with face_mesh.FaceMesh(confidence=MESH_SCORE) as mesh:
        for blur, angle, stretch, mirrored in MESH_VIEWS:
            linear = cv2.getRotationMatrix2D((0, 0), -np.degrees(angle), scale)[:, :2]
            linear *= np.sqrt([stretch, 1 / stretch])
            if mirrored:
                linear[0] *= -1
            matrix = np.column_stack([linear, (VIEW_SIZE - 1) / 2 - linear @ box[:2]])
            view = cv2.warpAffine(
                smooth, matrix, size, flags=interpolation, borderMode=cv2.BORDER_REPLICATE
            )
            found = mesh.landmarks(cv2.GaussianBlur(view, (0, 0), blur) if blur else view)
            if found:
                face = cv2.transform(found[0][None, :, :2], cv2.invertAffineTransform(matrix))[0]
                faces.append(face[MIRRORED] if mirrored else face)
    return faces
