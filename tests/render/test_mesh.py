"""The mesh renderer, on a synthetic image whose every pixel is known."""

import cv2
import numpy as np
import pytest
from scipy.spatial import Delaunay

from src.render.mesh import MeshRenderer, premultiplied

HEIGHT, WIDTH = 90, 120
CORNERS = np.array([(0, 0), (WIDTH - 1, 0), (WIDTH - 1, HEIGHT - 1), (0, HEIGHT - 1)], float)


def waves_image(channels: int = 3) -> np.ndarray:
    """Smooth waves, another one in every channel."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = [
        127 + 100 * np.sin(x / (9 + 2 * c) + c) * np.cos(y / (11 - c)) for c in range(channels)
    ]
    return np.dstack(waves).round().astype(np.uint8)


def warp(image, vertices, triangles, background=None) -> MeshRenderer:
    """A renderer whose landmarks are the vertices themselves."""
    return MeshRenderer(image, lambda points: points, triangles, vertices, background)


def mesh(seed: int = 0, inner: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Vertices inside the image and far outside of it, and their triangles."""
    rng = np.random.default_rng(seed)
    far = np.array(
        [(x, y) for x in (-5000, 60, 5100) for y in (-5000, 45, 5100) if (x, y) != (60, 45)]
    )
    vertices = np.concatenate([rng.uniform((8, 8), (WIDTH - 9, HEIGHT - 9), (inner, 2)), far])
    return vertices, Delaunay(vertices).simplices


def by_hand(image, reference, triangles, vertices):
    """The same warp pixel by pixel in float64; and how deep each pixel lies in its triangle."""
    frame = np.zeros(image.shape, np.float64)
    depth = np.full(image.shape[:2], -1.0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for triangle in triangles:
        corners = np.column_stack([vertices[triangle], np.ones(3)])
        if abs(np.linalg.det(corners)) < 1e-6:
            continue
        weights = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(corners)
        edges = np.linalg.norm(np.diff(vertices[triangle][[1, 2, 0, 1]], axis=0), axis=1)
        inside = weights.min(-1) >= 0
        places = weights @ reference[triangle]
        floor = np.floor(places).astype(int)
        part = places - floor
        value = 0
        for dx in (0, 1):
            for dy in (0, 1):
                weight = (part[..., 0] if dx else 1 - part[..., 0]) * (
                    part[..., 1] if dy else 1 - part[..., 1]
                )
                column = np.clip(floor[..., 0] + dx, 0, WIDTH - 1)
                row = np.clip(floor[..., 1] + dy, 0, HEIGHT - 1)
                value = value + weight[..., None] * image[row, column]
        frame[inside] = value[inside]
        height = np.abs(np.linalg.det(corners)) / edges
        depth[inside] = (weights * height).min(-1)[inside]
    return frame, depth


def test_at_rest_the_image_comes_back():
    image = waves_image()
    vertices, triangles = mesh()
    assert np.array_equal(warp(image, vertices, triangles).render(vertices), image)


@pytest.mark.parametrize("channels", [3, 4])
def test_moved_vertices_equal_a_warp_by_hand(channels):
    image = waves_image(channels)
    vertices, triangles = mesh(1)
    moved = vertices.copy()
    moved[:40] += np.random.default_rng(2).normal(0, 0.7, (40, 2)) + (3, -2)
    frame = warp(image, vertices, triangles).render(moved)
    assert frame.shape == (HEIGHT, WIDTH, 3)
    layer = premultiplied(image) if channels == 4 else image
    expected, depth = by_hand(layer, vertices, triangles, moved)
    if channels == 4:
        expected = expected[..., :3] + 255 - expected[..., 3:]  # over white
    error = np.abs(frame - expected).max(-1)
    # OpenCV looks between pixels in steps of 1/32; on an edge the neighbour's map may serve.
    assert error[depth > 1.0].max() <= 2.0
    assert error.max() < 25 and np.percentile(error, 99) < 3


def test_a_known_affine_motion():
    image = waves_image(3)
    triangles = [(0, 1, 2), (0, 2, 3)]
    affine = np.array([[0.9, 0.1, 5.0], [-0.05, 0.95, 4.0]])
    frame = warp(image, CORNERS, triangles).render(CORNERS @ affine[:, :2].T + affine[:, 2])
    expected = cv2.warpAffine(image, affine, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    covered = cv2.warpAffine(np.ones((HEIGHT, WIDTH), np.uint8), affine, (WIDTH, HEIGHT))
    inside = cv2.erode(covered, np.ones((3, 3), np.uint8)) > 0
    difference = np.abs(frame.astype(int) - expected)[inside]
    assert inside.mean() > 0.6 and difference.max() <= 2
    assert not frame[cv2.dilate(covered, np.ones((5, 5), np.uint8)) == 0].any()


def test_alpha_is_carried_with_its_colour():
    image = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    image[20:60, 30:70] = (10, 200, 30, 255)
    frame = warp(image, CORNERS, [(0, 1, 2), (0, 2, 3)]).render(CORNERS + (12, 7))
    assert (frame[27:67, 42:82] == (10, 200, 30)).all()
    assert (frame == 255).all(-1).sum() == HEIGHT * WIDTH - 40 * 40


def test_later_triangles_lie_on_top():
    image = waves_image(3)
    image[:, :60], image[:, 60:] = 50, 200
    left = np.array([(0, 0), (50, 0), (0, 80)], float)
    right = np.array([(70, 0), (119, 0), (70, 80)], float)
    both = np.concatenate([left, right])
    over = np.concatenate([left, left])
    last = warp(image, both, [(0, 1, 2), (3, 4, 5)]).render(over)
    first = warp(image, both, [(3, 4, 5), (0, 1, 2)]).render(over)
    assert (last[5:30, 5:20] == 200).all() and (first[5:30, 5:20] == 50).all()


def test_folded_and_collapsed_triangles_do_no_harm():
    image = waves_image()
    vertices, triangles = mesh(3)
    renderer = warp(image, vertices, triangles)
    folded = vertices.copy()
    folded[0], folded[1] = vertices[1] + (15, 0), vertices[0]
    folded[2] = folded[3]
    frame = renderer.render(folded)
    assert frame.shape == image.shape and frame.min() > 0
    far = vertices.copy()
    far[:40] = 1e7
    renderer.render(far)
    assert np.array_equal(renderer.render(vertices), image)


def test_the_background_shows_through_by_1_minus_alpha():
    image = waves_image(4)
    image[..., 3] = np.clip(np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)) * 2 - 60, 0, 255)
    background = np.ascontiguousarray(waves_image(3)[::-1])
    vertices, triangles = mesh(7)
    frame = warp(image, vertices, triangles, background).render(vertices)
    alpha = image[..., 3:] / 255
    assert np.abs(frame - (image[..., :3] * alpha + background * (1 - alpha))).max() <= 1.01
