"""MediaPipe's face mesh, with a search for faces that it misses; works offline."""

import logging
from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from src.face.crop import pixels
from src.face.topology import mirror_order
from thirdparty import face_mesh
from thirdparty.face_mesh import FaceBox

# Pixels. Faces are searched for in images whose longest side lies between the first two. The mesh
# network has an input of 256 x 256, for which a square of VIEW_SIDE round the face is enough.
LARGEST_SEARCH_SIDE = 1280
SMALLEST_SEARCH_SIDE = 384
VIEW_SIDE = 512

# Views of a face's box, tried in turn until the mesh finds a face in one: the view's side in sides
# of the box, and a blur before the mesh (sigma in pixels of the view), which turns the hard
# contours of drawings and halftones into shades like those of photographs.
VIEWS = ((1.5, 0.0), (2.0, 0.0))
BLURRED_VIEWS = ((1.5, 1.5), (1.5, 4.0))

# Scores 0-1 of box detector and mesh: sufficient at once; sufficient of the mesh where nothing else
# was found; and needed of boxes in tiles, as some texture always resembles a face.
CONFIDENT = 0.5
DOUBTFUL = 0.2
CONFIDENT_IN_TILE = 0.7

SAME_FACE_OVERLAP = 0.3  # intersection over union above which two boxes are of one face
SAME_FACE_DISTANCE = 0.1  # largest mean distance of landmarks of one face, in widths of the face

log = logging.getLogger(__name__)


def available() -> bool:
    """The models are part of the package."""
    return True


def track(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray | None]:
    """Track the landmarks (68, 3) of the face from frame to frame, None where there is none.

    About 5 ms for a frame on one core.

    Args:
        frames: uint8 BGR (H, W, 3), all of one size.
    """
    with face_mesh.FaceMesh(video=True) as mesh:
        for frame in frames:
            faces = mesh.landmarks(frame)
            yield faces[0] if faces else None


def detect(image: np.ndarray, name: str) -> list[np.ndarray]:
    """Detect the landmarks (68, 3) of every face in a BGR image.

    Where no face is found at first, costlier searches follow, which end at their first face.
    """
    longest = max(image.shape[:2])
    scale = min(1.0, LARGEST_SEARCH_SIDE / longest)
    if longest < SMALLEST_SEARCH_SIDE:
        scale = SMALLEST_SEARCH_SIDE / longest
    search = _resize(image, scale)
    boxes = _find_boxes(search, scale)
    for views in (VIEWS, BLURRED_VIEWS):
        if faces := _detect_in_boxes(image, boxes, views):
            return faces
    for further, confidence in _further_boxes(image, search, scale, boxes):
        for box in further:
            if faces := _detect_in_boxes(image, [box], VIEWS, confidence):
                log.warning("%s: face found with low confidence (%.2f)", name, box.score)
                return faces
    return []


def _further_boxes(
    image: np.ndarray, search: np.ndarray, scale: float, boxes: list[FaceBox]
) -> Iterator[tuple[list[FaceBox], float]]:
    """Boxes from ever costlier searches, each with the least score of the mesh in them.

    Args:
        image: (H, W, 3).
        search: the image resized by `scale`.
        boxes: those found in it.
    """
    yield boxes, DOUBTFUL

    # A face that fills the image or is cut by its border: the box detectors need a margin.
    border = max(search.shape[:2]) // 2
    padded = cv2.copyMakeBorder(search, *[border] * 4, cv2.BORDER_REPLICATE)
    yield _find_boxes(padded, scale, (-border, -border)), DOUBTFUL

    # A face too small for the detectors' input of 192 pixels: overlapping tiles.
    height, width = image.shape[:2]
    for count in (2, 4):
        side = -(-max(height, width) // count)
        if side < SMALLEST_SEARCH_SIDE // 2:
            return
        scale = min(1.0, LARGEST_SEARCH_SIDE / side)
        boxes = []
        for top in range(0, max(1, height - side // 2), side // 2):
            for left in range(0, max(1, width - side // 2), side // 2):
                tile = _resize(image[top : top + side, left : left + side], scale)
                corner = (left * scale, top * scale)
                boxes += _find_boxes(tile, scale, corner, CONFIDENT_IN_TILE)
        yield sorted(boxes, key=lambda box: -box.width), CONFIDENT


def _find_boxes(
    view: np.ndarray,
    scale: float,
    corner: tuple[float, float] = (0, 0),
    confidence: float = CONFIDENT,
) -> list[FaceBox]:
    """Boxes found in a view, in pixels of the image.

    Args:
        view: part of the image resized by `scale`.
        corner: place (x, y) of the part in the resized image.
        confidence: least score of a box, 0-1.
    """
    return [
        FaceBox(
            (box.x + corner[0]) / scale,
            (box.y + corner[1]) / scale,
            box.width / scale,
            box.height / scale,
            box.score,
        )
        for box in face_mesh.find_faces(view, confidence)
    ]


def _detect_in_boxes(
    image: np.ndarray,
    boxes: list[FaceBox],
    views: tuple[tuple[float, float], ...],
    confidence: float = CONFIDENT,
) -> list[np.ndarray]:
    """Landmarks (68, 3) in those boxes where the mesh finds a face with this confidence, too."""
    scores = [box.score for box in boxes]
    distinct = cv2.dnn.NMSBoxes([box[:4] for box in boxes], scores, 0.0, SAME_FACE_OVERLAP)
    if not len(distinct):
        return []
    faces = []
    with face_mesh.FaceMesh(most_faces=4, confidence=confidence) as mesh:
        for box in (boxes[index] for index in distinct):
            centre = np.array([box.x + box.width / 2, box.y + box.height / 2])
            for margin, blur in views:
                side = max(4, round(margin * max(box.width, box.height)))
                corner = np.round(centre - side / 2).astype(int)
                scale = VIEW_SIDE / side
                view = _resize(pixels(image, corner, corner + side), scale)
                face = _central_face(mesh, cv2.GaussianBlur(view, (0, 0), blur) if blur else view)
                if face is not None:
                    face /= scale
                    # Resizing keeps the outer edges, half a pixel beyond the first pixel's centre.
                    face[:, :2] += 0.5 / scale - 0.5 + corner
                    faces.append(face)
                    break
    return faces


def _central_face(mesh: face_mesh.FaceMesh, view: np.ndarray) -> np.ndarray | None:
    """Landmarks of the face nearest to the centre of a view, None where there is none.

    The mean over the view and its mirror image: a third less uncertain (0.33 instead of 0.50 % of
    the jaw's width under small shifts of the view).
    """
    right = view.shape[1] - 1
    centre = np.array([right, view.shape[0] - 1]) / 2
    found = []
    for image in (view, np.ascontiguousarray(view[:, ::-1])):
        faces = mesh.landmarks(image)
        if not faces:
            break
        # A neighbour may reach into the view; the face that the box is of is at its centre.
        found.append(min(faces, key=lambda face: np.hypot(*(face[:, :2].mean(axis=0) - centre))))
    if len(found) == 2:
        face, mirrored = found[0], found[1][mirror_order()]
        mirrored[:, 0] = right - mirrored[:, 0]
        distance = np.linalg.norm(mirrored[:, :2] - face[:, :2], axis=1).mean()
        if distance < SAME_FACE_DISTANCE * np.ptp(face[:, 0]):
            return (face + mirrored) / 2
    return found[0] if found else None


def _resize(image: np.ndarray, scale: float) -> np.ndarray:
    if scale == 1.0:
        return image
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
