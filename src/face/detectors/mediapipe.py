"""MediaPipe's face mesh in boxes found by its face detector; works offline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from src.face.crop import pixels, resize
from src.face.topology import MIRRORED
from thirdparty import face_mesh

# Pixels. Faces are searched for in images whose longest side lies between the first two. The mesh
# network has an input of 256 x 256, for which a square of VIEW_SIDE round the face is enough.
LARGEST_SEARCH_SIDE = 1280
SMALLEST_SEARCH_SIDE = 384
VIEW_SIDE = 512

VIEWS = ((1.5, 0.0), (2.0, 0.0), (1.5, 1.5), (1.5, 4.0))
"""Views of a box, tried in turn until the mesh finds a face in one: side in sides of the box, and
sigma in pixels of a blur, which turns the hard contours of drawings into shades."""

BOX_SCORE = 0.5
TILE_SCORE = 0.7  # of a box in a tile: some texture always resembles a face

SAME_FACE_OVERLAP = 0.3  # intersection over union above which two boxes are of one face
SAME_FACE_DISTANCE = 0.1  # largest mean distance of landmarks of one face, in widths of the face


def available() -> bool:
    """The models are part of the package."""
    return True


def track(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray | None]:
    """Track the landmarks (68, 3) of the face from frame to frame, None where there is none."""
    with face_mesh.FaceMesh(video=True) as mesh:
        for frame in frames:
            faces = mesh.landmarks(frame)
            yield faces[0] if faces else None


def detect(image: np.ndarray) -> list[np.ndarray]:
    """Detect the landmarks (68, 3) of every face in a BGR image.

    Where no face is found in the whole image, costlier searches follow.
    """
    found = (_detect_in_boxes(image, boxes) for boxes in _searches(image))
    return next(filter(None, found), [])


def _searches(image: np.ndarray) -> Iterator[np.ndarray]:
    """Boxes (N, 4) of faces in a BGR image, found by one search after the other."""
    yield find_boxes(image)
    # A face that fills the image or is cut off by its border: the box detectors need a margin.
    height, width = image.shape[:2]
    longest = max(height, width)
    yield find_boxes(image, margin=longest // 2)
    # A face too small for the detectors' input of 192 pixels: overlapping tiles.
    side = longest // 4
    if side < SMALLEST_SEARCH_SIDE // 2:
        return
    boxes = []
    for top in range(0, max(1, height - side // 2), side // 2):
        for left in range(0, max(1, width - side // 2), side // 2):
            tile = image[top : top + side, left : left + side]
            boxes.append(find_boxes(tile, TILE_SCORE) + [left, top, 0, 0])
    yield _distinct(np.concatenate(boxes))


def find_boxes(image: np.ndarray, score: float = BOX_SCORE, margin: int = 0) -> np.ndarray:
    """Boxes (N, 4) of the faces in a BGR image: centre x, y and side in pixels, and score 0-1.

    Args:
        image: uint8 (H, W, 3).
        score: least score.
        margin: pixels by which the image is continued on all sides, its border repeated.
    """
    longest = max(image.shape[:2]) + 2 * margin
    scale = np.clip(longest, SMALLEST_SEARCH_SIDE, LARGEST_SEARCH_SIDE) / longest
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    margin = round(margin * scale)
    view = cv2.copyMakeBorder(resize(image, size), *[margin] * 4, cv2.BORDER_REPLICATE)
    boxes = face_mesh.find_faces(view, score) - [margin, margin, 0, 0]
    return _distinct(boxes / [scale, scale, scale, 1])


def _distinct(boxes: np.ndarray) -> np.ndarray:
    """The best of those boxes (N, 4) that overlap, in the order of their scores."""
    corners = np.column_stack([boxes[:, :2] - boxes[:, 2:3] / 2, boxes[:, 2], boxes[:, 2]])
    return boxes[list(cv2.dnn.NMSBoxes(corners, boxes[:, 3], 0.0, SAME_FACE_OVERLAP))]


def _detect_in_boxes(image: np.ndarray, boxes: np.ndarray) -> list[np.ndarray]:
    """Landmarks (68, 3) in those of the boxes (N, 4) in which the mesh finds a face."""
    faces = []
    with face_mesh.FaceMesh(most_faces=4) as mesh:
        for x, y, box_side, _ in boxes:
            for margin, blur in VIEWS:
                side = max(4, round(margin * box_side))
                corner = np.round(np.array([x, y]) - side / 2).astype(int)
                view = resize(pixels(image, corner, corner + side), (VIEW_SIDE, VIEW_SIDE))
                face = _central_face(mesh, cv2.GaussianBlur(view, (0, 0), blur) if blur else view)
                if face is not None:
                    scale = VIEW_SIDE / side
                    # Resizing keeps the outer edges, half a pixel beyond the first pixel's centre.
                    face = face / scale + [0.5 / scale - 0.5, 0.5 / scale - 0.5, 0]
                    face[:, :2] += corner
                    faces.append(face)
                    break
    return faces


def _central_face(mesh: face_mesh.FaceMesh, view: np.ndarray) -> np.ndarray | None:
    """Landmarks of the face nearest to the centre of a view, None where there is none.

    The mean over the view and its mirror image: a third less uncertain (0.33 instead of 0.50 % of
    the jaw's width under small shifts of the view).
    """
    right = VIEW_SIDE - 1
    found = []
    for image in (view, np.ascontiguousarray(view[:, ::-1])):
        faces = mesh.landmarks(image)
        if not faces:
            return found[0] if found else None
        # A neighbour may reach into the view; the face that the box is of is at its centre.
        found.append(min(faces, key=lambda face: np.hypot(*(face[:, :2].mean(0) - right / 2))))
    face, mirrored = found[0], found[1][MIRRORED]
    mirrored[:, 0] = right - mirrored[:, 0]
    distance = np.linalg.norm(mirrored[:, :2] - face[:, :2], axis=1).mean()
    same = distance < SAME_FACE_DISTANCE * np.ptp(face[:, 0])
    return (face + mirrored) / 2 if same else face
