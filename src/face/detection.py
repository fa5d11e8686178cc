"""Finding the 68 landmarks of the face in a picture or in the frames of a video."""

import logging
from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from src.errors import InputError
from src.face.topology import mirror_order
from src.io.image import flatten
from thirdparty import face_mesh, fan

DETECTORS = ("auto", "mediapipe", "fan")

# Sides in pixels. The search for faces needs no more than _SEARCH_SIDE; smaller pictures are
# enlarged to _LEAST_SEARCH_SIDE. The mesh network itself sees 256 x 256, so a face cut out at
# _FACE_SIDE gives it all it can use.
_SEARCH_SIDE = 1280
_LEAST_SEARCH_SIDE = 384
_FACE_SIDE = 512

# The squares handed to the mesh, one after the other until it sees a face: their side in sides of
# the box detector's box (forehead to chin), and the blur before (sigma in pixels of _FACE_SIDE):
# it turns the hard contours of drawings and halftones into the shades that the mesh knows.
_CUTS = ((1.5, 0.0), (2.0, 0.0))
_BLURRED_CUTS = ((1.5, 1.5), (1.5, 4.0))

# Scores 0-1 of the box detector and of the mesh: what counts as a face at once, what the mesh may
# say of a box where nothing else was found, and what a box in a mere part of the picture needs:
# every texture looks like a face somewhere.
_CONFIDENT = 0.5
_DOUBTFUL = 0.2
_CONFIDENT_IN_TILE = 0.7

# Two boxes that share this part of their union are one face; landmarks at most this part of a
# face's width apart are of one face.
_SAME_FACE_OVERLAP = 0.3
_SAME_FACE_DISTANCE = 0.1

_log = logging.getLogger(__name__)


def detect_landmarks(
    picture: np.ndarray, detector: str = "auto", name: str = "the picture"
) -> np.ndarray:
    """The 68 iBUG landmarks of the largest face in a picture.

    Args:
        picture: (H, W, 3) uint8 BGR; greyscale (H, W) and BGRA (H, W, 4) are taken too.
        detector: "mediapipe" (face mesh, offline), "fan" (the paper's detector, which downloads
            its weights on first use) or "auto": fan where its weights are on disk, else mediapipe.
        name: what messages call the picture, usually its file name.

    Returns:
        (68, 3) float64: x, y in pixels of the picture, z in pixels, growing towards the camera.

    Raises:
        InputError: no face was found, or the detector asked for cannot run.
    """
    if detector not in DETECTORS:
        raise InputError(f"unknown landmark detector {detector!r}, expected {', '.join(DETECTORS)}")
    picture = _as_bgr(picture)
    if detector == "fan" or (detector == "auto" and fan.weights_on_disk()):
        try:
            faces = fan.detect_faces(picture)
        except fan.Unavailable as problem:
            if detector == "fan":
                message = f"{name}: the fan landmark detector cannot run: {problem}"
                raise InputError(message) from problem
            _log.warning("the fan landmark detector cannot run (%s), using mediapipe", problem)
        else:
            if faces:
                return _largest(faces, name)
            if detector == "fan":
                raise InputError(f"{name}: no face found")
    return _largest(_detect_with_mesh(picture, name), name)


def track_landmarks(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray | None]:
    """The landmarks of the face in each frame of a video, as the frames come.

    The mesh follows the face from frame to frame, about 5 ms each on one core.

    Args:
        frames: (H, W, 3) uint8 BGR pictures, all of one size.

    Yields:
        (68, 3) float64 as `detect_landmarks` returns, or None where no face is seen.
    """
    with face_mesh.FaceMesh(video=True) as mesh:
        for frame in frames:
            faces = mesh.landmarks(frame)
            yield faces[0] if faces else None


def _detect_with_mesh(picture: np.ndarray, name: str) -> list[np.ndarray]:
    """Every face of a picture, looked for with more and more effort; InputError where none is."""
    longest = max(picture.shape[:2])
    scale = min(1.0, _SEARCH_SIDE / longest)
    if longest < _LEAST_SEARCH_SIDE:
        scale = _LEAST_SEARCH_SIDE / longest
    search = _resize(picture, scale)

    sure = face_mesh.find_faces(search, _CONFIDENT)
    for cuts in (_CUTS, _BLURRED_CUTS):
        faces = _faces_in_boxes(picture, sure, scale, cuts, _CONFIDENT)
        if faces:
            return faces
    for boxes, box_scale, confidence in _harder_searches(picture, search, scale):
        # One face is enough here: what is found so late is doubtful anyway.
        for box in boxes:
            faces = _faces_in_boxes(picture, [box], box_scale, _CUTS, confidence)
            if faces:
                _log.warning(
                    "%s: no face at first sight, one on a closer look (confidence %.2f)",
                    name,
                    box.score,
                )
                return faces
    raise InputError(f"{name}: no face found")


def _harder_searches(
    picture: np.ndarray, search: np.ndarray, scale: float
) -> Iterator[tuple[list[face_mesh.FaceBox], float, float]]:
    """Candidates from ever more costly searches: boxes, their scale, the mesh's least score."""
    yield face_mesh.find_faces(search, _CONFIDENT), scale, _DOUBTFUL

    # A face that fills the picture or is cut by its edge: the box detectors want air round it.
    border = max(search.shape[:2]) // 2
    padded = cv2.copyMakeBorder(search, *[border] * 4, cv2.BORDER_REPLICATE)
    boxes = face_mesh.find_faces(padded, _CONFIDENT)
    yield [box._replace(x=box.x - border, y=box.y - border) for box in boxes], scale, _DOUBTFUL

    # A face too small for the detectors' 192 pixels: overlapping tiles, each looked at alone.
    height, width = picture.shape[:2]
    for parts in (2, 4):
        tile = -(-max(height, width) // parts)
        if tile < _LEAST_SEARCH_SIDE // 2:
            return
        tile_scale = min(1.0, _SEARCH_SIDE / tile)
        boxes = []
        for top in range(0, max(1, height - tile // 2), tile // 2):
            for left in range(0, max(1, width - tile // 2), tile // 2):
                view = _resize(picture[top : top + tile, left : left + tile], tile_scale)
                boxes += [
                    box._replace(x=box.x + left * tile_scale, y=box.y + top * tile_scale)
                    for box in face_mesh.find_faces(view, _CONFIDENT_IN_TILE)
                ]
        yield sorted(boxes, key=lambda box: -box.width), tile_scale, _CONFIDENT


def _faces_in_boxes(
    picture: np.ndarray,
    boxes: list[face_mesh.FaceBox],
    scale: float,
    cuts: tuple[tuple[float, float], ...],
    confidence: float,
) -> list[np.ndarray]:
    """The landmarks of those boxes in which the mesh sees a face too.

    Args:
        picture: (H, W, 3), at its own size.
        boxes: in pixels of the picture times `scale`.
        cuts: what to cut out round a box, see _CUTS.
        confidence: the least score of the mesh, 0-1.
    """
    distinct = []
    for box in boxes:
        if all(_overlap(box, other) < _SAME_FACE_OVERLAP for other in distinct):
            distinct.append(box)
    if not distinct:
        return []
    faces = []
    with face_mesh.FaceMesh(most_faces=4, confidence=confidence) as mesh:
        for box in distinct:
            centre = np.array([box.x + box.width / 2, box.y + box.height / 2]) / scale
            for margin, blur in cuts:
                side = max(4, round(margin * max(box.width, box.height) / scale))
                corner = np.round(centre - side / 2).astype(int)
                cut_scale = _FACE_SIDE / side
                cut = _resize(_cut_square(picture, corner, side), cut_scale)
                face = _central_face(mesh, cv2.GaussianBlur(cut, (0, 0), blur) if blur else cut)
                if face is not None:
                    face = _scaled_back(face, cut_scale)
                    face[:, :2] += corner
                    faces.append(face)
                    break
    return faces


def _central_face(mesh: face_mesh.FaceMesh, cut: np.ndarray) -> np.ndarray | None:
    """The landmarks of the face nearest to the middle of a cut, None where there is none.

    They are the mean of what the mesh sees in the cut and in its mirror image: a third less
    uncertain (0.33 instead of 0.50 % of the jaw's width under small shifts of the cut).
    """
    middle = np.array([cut.shape[1] - 1, cut.shape[0] - 1]) / 2
    views = []
    for view in (cut, np.ascontiguousarray(cut[:, ::-1])):
        seen = mesh.landmarks(view)
        if not seen:
            break
        # A neighbour may reach into the cut; the face that the cut was made for is at its centre.
        views.append(min(seen, key=lambda face: np.hypot(*(face[:, :2].mean(axis=0) - middle))))
    if not views:
        return None
    if len(views) == 2:
        mirrored = views[1][mirror_order()]
        mirrored[:, 0] = cut.shape[1] - 1 - mirrored[:, 0]
        apart = np.linalg.norm(mirrored[:, :2] - views[0][:, :2], axis=1).mean()
        if apart < _SAME_FACE_DISTANCE * np.ptp(views[0][:, 0]):
            return (views[0] + mirrored) / 2
    return views[0]


def _largest(faces: list[np.ndarray], name: str) -> np.ndarray:
    if len(faces) > 1:
        _log.warning("%s: %d faces found, taking the largest", name, len(faces))
    return max(faces, key=lambda face: np.prod(np.ptp(face[:, :2], axis=0)))


def _overlap(a: face_mesh.FaceBox, b: face_mesh.FaceBox) -> float:
    """Intersection over union of two boxes."""
    width = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    height = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    shared = max(0.0, width) * max(0.0, height)
    return shared / (a.width * a.height + b.width * b.height - shared)


def _cut_square(picture: np.ndarray, corner: np.ndarray, side: int) -> np.ndarray:
    """The square of whole pixels at `corner` (x, y), edges repeated where it leaves the picture."""
    height, width = picture.shape[:2]
    rows = np.clip(np.arange(corner[1], corner[1] + side), 0, height - 1)
    columns = np.clip(np.arange(corner[0], corner[0] + side), 0, width - 1)
    return picture[rows][:, columns]


def _resize(picture: np.ndarray, scale: float) -> np.ndarray:
    if scale == 1.0:
        return picture
    height, width = picture.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def _scaled_back(points: np.ndarray, scale: float) -> np.ndarray:
    """Points found in a picture resized by `scale`, in pixels of the picture before.

    Resizing keeps the outer edges in place, half a pixel outside the first pixel's centre.
    """
    points = points / scale
    points[:, :2] += 0.5 / scale - 0.5
    return points


def _as_bgr(picture: np.ndarray) -> np.ndarray:
    """Any uint8 picture as (H, W, 3); transparent parts become white."""
    if picture.ndim == 2:
        return cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    return flatten(picture)
