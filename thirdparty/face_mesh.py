"""MediaPipe's face mesh (with iris refinement) as a detector of the 68 iBUG points.

The mesh has 478 points; each iBUG point is a fixed blend of one to four of them, so the 68 points
move exactly as the mesh does. The models come inside the mediapipe package: no download.
"""

from __future__ import annotations

import cv2
import numpy as np

from thirdparty.quiet import quiet_stderr

MESH_POINT_COUNT = 478

# iBUG point on the subject's right, its mirror image on the left (the same on the midline), and the
# mesh points (point, weight) that are blended for the right one.
# Jaw: the mesh's face oval cut into equal lengths, measured on the mean of 90 detected faces, from
# eye level (point 0) to the chin (point 8). Brows: a third of the way from the mesh's upper edge to
# its lower, as the iBUG annotation runs in the upper half of the hair. Nostrils: between the
# wing's foot and the nostril's rim. Lips: corners and crests of the outer and inner lip rings.
_BLENDS = (
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
    (8, 8, ((152, 1.00),)),
    (27, 27, ((168, 1.00),)),
    (28, 28, ((6, 0.50), (197, 0.50))),
    (29, 29, ((195, 1.00),)),
    (30, 30, ((4, 0.60), (5, 0.40))),
    (33, 33, ((2, 1.00),)),
    (51, 51, ((0, 1.00),)),
    (57, 57, ((17, 1.00),)),
    (62, 62, ((13, 1.00),)),
    (66, 66, ((14, 1.00),)),
)
_MESH_MIRROR = {
    127: 356, 234: 454, 93: 323, 132: 361, 58: 288, 172: 397, 136: 365, 150: 379, 149: 378, 176:
    400, 148: 377, 70: 300, 46: 276, 63: 293, 53: 283, 105: 334, 52: 282, 66: 296, 65: 295, 107:
    336, 55: 285, 98: 327, 75: 305, 97: 326, 33: 263, 160: 387, 158: 385, 133: 362, 153: 380,
    144: 373, 61: 291, 40: 270, 39: 269, 37: 267, 84: 314, 91: 321, 181: 405, 78: 308, 81: 311,
    82: 312, 178: 402, 87: 317,
}  # fmt: skip


def ibug_weights() -> np.ndarray:
    """Weight of each mesh point in each iBUG point: (68, 478), rows sum to 1."""
    weights = np.zeros((68, MESH_POINT_COUNT))
    for right, left, blend in _BLENDS:
        for point, weight in blend:
            weights[right, point] = weight
            weights[left, _MESH_MIRROR.get(point, point)] = weight
    return weights


def find_faces(image: np.ndarray, confidence: float = 0.5) -> np.ndarray:
    """Find faces with both of MediaPipe's box detectors, short-range and full-range.

    Args:
        image: (H, W, 3) uint8 BGR.
        confidence: least score, 0-1. The detectors find nothing below about 0.5.

    Returns:
        (N, 4): x and y of the centre and side of a square box, in pixels, and score 0-1; best
        first. The same face may be in it twice.
    """
    height, width = image.shape[:2]
    rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    boxes = []
    for full_range in (1, 0):
        with quiet_stderr():
            from mediapipe.python.solutions.face_detection import FaceDetection

            with FaceDetection(confidence, model_selection=full_range) as detector:
                detections = detector.process(rgb).detections or ()
        for detection in detections:
            box, score = detection.location_data.relative_bounding_box, detection.score[0]
            x, y = (box.xmin + box.width / 2) * width, (box.ymin + box.height / 2) * height
            if score >= confidence:  # the detectors disregard a threshold above their own
                boxes.append((x, y, box.width * width, score))
    return np.array(sorted(boxes, key=lambda box: -box[3])).reshape(-1, 4)


class FaceMesh:
    """Context manager that detects the 68 iBUG points of one or several faces.

    Args:
        video: images are consecutive frames of one video, in which the face is tracked (about 5 ms
            a frame); otherwise each image stands alone.
        most_faces: largest number of faces.
        confidence: least score of the box detector and of the mesh, 0-1.
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
            # The interpreters start, and log, with the first image.
            self._mesh.process(np.zeros((64, 64, 3), np.uint8))
        self._weights = ibug_weights()

    def __enter__(self) -> FaceMesh:
        return self

    def __exit__(self, *_) -> None:
        self._mesh.close()

    def landmarks(self, image: np.ndarray) -> list[np.ndarray]:
        """Detect the landmarks of every face in an image (H, W, 3) uint8 BGR.

        Returns:
            (68, 3) float64 for each face: x, y in pixels of the image (0 is the centre of the
            first), z in pixels too, growing towards the camera as in the paper's 3D detector, with
            zero mean.
        """
        height, width = image.shape[:2]
        with quiet_stderr():
            found = self._mesh.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).multi_face_landmarks
        faces = []
        for face in found or ():
            # z comes in units of the image's width, like x, and grows away from the camera.
            mesh = np.array([(p.x * width, p.y * height, -p.z * width) for p in face.landmark])
            points = self._weights @ mesh
            # Here 0 is the outer edge of the first pixel; elsewhere it is that pixel's centre.
            points[:, :2] -= 0.5
            points[:, 2] -= points[:, 2].mean()
            faces.append(points)
        return faces
