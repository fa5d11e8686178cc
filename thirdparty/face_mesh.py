"""MediaPipe's face mesh (with iris refinement) as a detector of the 68 iBUG points.

The mesh has 478 points, 10 of them on the irises; each iBUG point is a fixed blend of one or two
of the others, so the 68 points move exactly as the mesh does. Everything runs offline: the models
come inside the mediapipe package.
"""

import contextlib
from typing import NamedTuple

import cv2
import numpy as np

from thirdparty.quiet import quiet_stderr

MESH_POINT_COUNT = 478

# Half of the face: iBUG index on the subject's right, index on the left, and the blend of mesh
# points (point, share) that makes the right one; the left one is its mirror image.
# Jaw: the mesh's face oval cut into equal lengths, measured on the mean of 90 detected faces, from
# eye level (point 0) to the chin (point 8). Brows: a third of the way from the mesh's upper edge to
# its lower, as the iBUG annotation runs in the upper half of the hair. Nostrils: between the
# wing's foot and the nostril's rim. Lips: corners and crests of the outer and inner lip rings.
_RIGHT_HALF = (
    (0, 16, ((127, 0.40), (234, 0.60))),
    (1, 15, ((234, 0.08), (93, 0.92))),
    (2, 14, ((132, 0.95), (58, 0.05))),
    (3, 13, ((58, 0.95), (172, 0.05))),
    (4, 12, ((172, 0.85), (136, 0.15))),
    (5, 11, ((136, 0.59), (150, 0.41))),
    (6, 10, ((150, 0.11), (149, 0.89))),
    (7, 9, ((176, 0.47), (148, 0.53))),
    (17, 26, ((70, 0.50), (46, 0.50))),
    (18, 25, ((63, 0.65), (53, 0.35))),
    (19, 24, ((105, 0.43), (66, 0.22), (52, 0.22), (65, 0.13))),
    (20, 23, ((66, 0.45), (107, 0.20), (65, 0.20), (55, 0.15))),
    (21, 22, ((107, 0.65), (55, 0.35))),
    (31, 35, ((98, 0.50), (75, 0.50))),
    (32, 34, ((97, 1.00),)),
    (36, 45, ((33, 1.00),)),
    (37, 44, ((160, 1.00),)),
    (38, 43, ((158, 1.00),)),
    (39, 42, ((133, 1.00),)),
    (40, 47, ((153, 1.00),)),
    (41, 46, ((144, 1.00),)),
    (48, 54, ((61, 1.00),)),
    (49, 53, ((40, 0.75), (39, 0.25))),
    (50, 52, ((37, 1.00),)),
    (58, 56, ((84, 1.00),)),
    (59, 55, ((91, 0.60), (181, 0.40))),
    (60, 64, ((78, 1.00),)),
    (61, 63, ((81, 0.50), (82, 0.50))),
    (67, 65, ((178, 0.50), (87, 0.50))),
)
_MIDDLE = (
    (8, ((152, 1.00),)),
    (27, ((168, 1.00),)),
    (28, ((6, 0.50), (197, 0.50))),
    (29, ((195, 1.00),)),
    (30, ((4, 0.60), (5, 0.40))),
    (33, ((2, 1.00),)),
    (51, ((0, 1.00),)),
    (57, ((17, 1.00),)),
    (62, ((13, 1.00),)),
    (66, ((14, 1.00),)),
)
_MIRROR = {
    127: 356, 234: 454, 93: 323, 132: 361, 58: 288, 172: 397, 136: 365, 150: 379, 149: 378,
    176: 400, 148: 377, 70: 300, 46: 276, 63: 293, 53: 283, 105: 334, 52: 282, 66: 296, 65: 295,
    107: 336, 55: 285,
    98: 327, 75: 305, 97: 326, 33: 263, 160: 387, 158: 385, 133: 362, 153: 380, 144: 373,
    61: 291, 40: 270, 39: 269, 37: 267, 84: 314, 91: 321, 181: 405, 78: 308, 81: 311, 82: 312,
    178: 402, 87: 317,
}  # fmt: skip


class FaceBox(NamedTuple):
    """A face found by the box detector: pixels of the picture, and its confidence 0-1."""

    x: float
    y: float
    width: float
    height: float
    score: float


def ibug_weights() -> np.ndarray:
    """The blend of mesh points for each iBUG point: (68, 478), rows sum to 1."""
    weights = np.zeros((68, MESH_POINT_COUNT))
    for right, left, blend in _RIGHT_HALF:
        for point, share in blend:
            weights[right, point] = share
            weights[left, _MIRROR[point]] = share
    for middle, blend in _MIDDLE:
        for point, share in blend:
            weights[middle, point] = share
    return weights


def find_faces(picture: np.ndarray, confidence: float = 0.5) -> list[FaceBox]:
    """Boxes of the faces in a picture, best first.

    Both of MediaPipe's box detectors look: the short-range one (faces that fill a good part of the
    picture) and the full-range one (small faces). The same face may be in the list twice.

    Args:
        picture: (H, W, 3) uint8, BGR.
        confidence: the least score that counts, 0-1.
    """
    height, width = picture.shape[:2]
    rgb = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    boxes = []
    for full_range in (1, 0):
        with quiet_stderr():
            from mediapipe.python.solutions.face_detection import FaceDetection

            with FaceDetection(
                model_selection=full_range, min_detection_confidence=confidence
            ) as detector:
                detections = detector.process(rgb).detections or ()
        for detection in detections:
            share = detection.location_data.relative_bounding_box
            boxes.append(
                FaceBox(
                    share.xmin * width,
                    share.ymin * height,
                    share.width * width,
                    share.height * height,
                    detection.score[0],
                )
            )
    # The graphs do not heed a threshold above their own (about 0.5), and find nothing below it.
    return sorted((b for b in boxes if b.score >= confidence), key=lambda box: -box.score)


class FaceMesh:
    """The mesh of one or several faces, as 68 iBUG points each.

    Args:
        video: pictures are consecutive frames of one video: the face is tracked from one to the
            next (about 5 ms a frame) and points are steadier. Otherwise each picture stands alone.
        most_faces: how many faces are looked for.
        confidence: the least score of the box detector and of the mesh, 0-1.
    """

    def __init__(self, video: bool = False, most_faces: int = 1, confidence: float = 0.5):
        with quiet_stderr():
            from mediapipe.python.solutions import face_mesh

            self._mesh = face_mesh.FaceMesh(
                static_image_mode=not video,
                refine_landmarks=True,
                max_num_faces=most_faces,
                min_detection_confidence=confidence,
                min_tracking_confidence=confidence,
            )
            # The first picture starts the interpreters, and with them the rest of the noise.
            self._mesh.process(np.zeros((64, 64, 3), np.uint8))
        self._weights = ibug_weights()
        self._has_seen_a_face = False

    def __enter__(self) -> "FaceMesh":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Free the graph; the object cannot be used afterwards."""
        self._mesh.close()

    def landmarks(self, picture: np.ndarray) -> list[np.ndarray]:
        """The 68 points of every face found.

        Args:
            picture: (H, W, 3) uint8, BGR.

        Returns:
            One (68, 3) float64 array a face: x, y in pixels of the picture (0 is the centre of the
            first one), z in pixels too, growing towards the camera as in the paper's 3D detector,
            zero in the mean of the 68 points.
        """
        rgb = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        # The graph's last complaint comes with the first face that it sees.
        with contextlib.nullcontext() if self._has_seen_a_face else quiet_stderr():
            found = self._mesh.process(rgb).multi_face_landmarks or ()
        self._has_seen_a_face |= bool(found)
        height, width = picture.shape[:2]
        faces = []
        for face in found:
            # z comes in units of the picture's width, like x, and grows away from the camera.
            mesh = np.array([(p.x * width, p.y * height, -p.z * width) for p in face.landmark])
            points = self._weights @ mesh
            # Here 0 is the outer edge of the first pixel; elsewhere it is that pixel's centre.
            points[:, :2] -= 0.5
            points[:, 2] -= points[:, 2].mean()
            faces.append(points)
        return faces
