"""Faces and clips that tests share."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import skimage.data
from matplotlib import cbook

from src.data import dumps, packed_faces
from src.face.detection import detect_landmarks
from src.face.topology import MIRRORED
from src.render.warp.portrait import WarpRenderer


def face() -> np.ndarray:
    """A symmetric frontal face, normalised: enough of one for geometry."""
    rng = np.random.default_rng(0)
    half = rng.uniform(-0.5, 0.5, (68, 3))
    points = 0.5 * (half + half[MIRRORED] * [-1, 1, 1])
    points[0], points[16] = (-0.8, 0, -0.5), (0.8, 0, -0.5)
    points[36], points[45] = (-0.5, -0.1, 0.1), (0.5, -0.1, 0.1)
    return points


def clips(count: int = 6, frames: int = 90, seed: int = 0) -> list[dumps.Clip]:
    """Clips in which the mouth opens as the features say."""
    rng = np.random.default_rng(seed)
    result = []
    for index in range(count):
        loud = 0.5 + 0.5 * np.sin(np.arange(frames) / rng.uniform(3, 8) + rng.uniform(0, 6))
        features = loud[:, None] * np.ones(80) + 0.05 * rng.standard_normal((frames, 80))
        points = np.repeat(face()[None], frames, 0)
        points[:, 65:68, 1] = points[:, 61:64, 1][:, ::-1] + 0.1 * loud[:, None]
        points[:, :, 0] += 0.05 * loud[:, None]
        embedding = rng.standard_normal(256)
        embedding /= np.linalg.norm(embedding)
        result.append(
            dumps.Clip(
                features.astype(np.float32),
                points.reshape(frames, -1).astype(np.float32),
                f"s{index % 2}/{index}+0",
                embedding.astype(np.float32),
            )
        )
    return result


def portraits() -> list[tuple[np.ndarray, np.ndarray]]:
    """Two portraits with their landmarks."""
    hopper = cv2.imread(str(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))
    astronaut = skimage.data.astronaut()[:, :, ::-1].copy()
    return [(image, detect_landmarks(image, "mediapipe")) for image in (hopper, astronaut)]


def opened(landmarks: np.ndarray, amount: float) -> np.ndarray:
    """Open the mouth by an amount of its width."""
    moved = landmarks.copy()
    gap = amount * (landmarks[54, 0] - landmarks[48, 0])
    moved[[65, 66, 67], 1] += gap
    moved[[55, 56, 57, 58, 59], 1] += gap
    return moved


def opening_clip(image: np.ndarray, landmarks: np.ndarray, count: int = 8):
    """Frames and landmarks of a mouth that opens more and more."""
    track = np.stack([opened(landmarks, 0.05 * step) for step in range(count)])
    renderer = WarpRenderer(image, landmarks)
    return [renderer.render(face) for face in track], track


def write_packed(folder: Path, faces: list[tuple[np.ndarray, np.ndarray]]) -> Path:
    """Pack faces: a clip of either face and both as stills to train on, one clip held out."""
    packed = [
        packed_faces.pack_clip(name, name, *opening_clip(*face), most=6)
        for name, face in zip(("hopper", "astronaut"), faces, strict=True)
    ]
    stills = [
        packed_faces.pack_clip(f"still{i}", packed_faces.STILLS, [image], landmarks[None], most=1)
        for i, (image, landmarks) in enumerate(faces)
    ]
    packed_faces.write_faces(folder, "train", "pictures", packed + stills)
    packed_faces.write_faces(folder, "val", "pictures", packed[:1])
    return folder
