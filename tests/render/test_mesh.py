"""The piecewise-affine engine, on a drawn picture whose every pixel is known."""

import cv2
import numpy as np
import pytest
from scipy.spatial import Delaunay

from src.render.mesh import PiecewiseWarp, premultiplied

HEIGHT, WIDTH = 90, 120
CORNERS = np.array([(0, 0), (WIDTH - 1, 0), (WIDTH - 1, HEIGHT - 1), (0, HEIGHT - 1)], float)


def drawn_picture(channels: int = 4) -> np.ndarray:
    """Smooth waves, another one in every channel."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = [
        127 + 100 * np.sin(x / (9 + 2 * c) + c) * np.cos(y / (11 - c)) for c in range(channels)
    ]
    return np.dstack(waves).round().astype(np.uint8)


def mesh(seed: int = 0, inner: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Vertices inside the picture and far outside of it, and their triangles."""
    rng = np.random.default_rng(seed)
    far = np.array(
        [(x, y) for x in (-5000, 60, 5100) for y in (-5000, 45, 5100) if (x, y) != (60, 45)]
    )
    vertices = np.concatenate([rng.uniform((8, 8), (WIDTH - 9, HEIGHT - 9), (inner, 2)), far])
    return vertices, Delaunay(vertices).simplices


def by_hand(picture, reference, triangles, vertices):
    """The same warp pixel by pixel in float64; and how deep each pixel lies in its triangle."""
    frame = np.zeros(picture.shape, np.float64)
    depth = np.full(picture.shape[:2], -1.0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for triangle in triangles:
        corners = np.column_stack([vertices[triangle], np.ones(3)])
        if abs(np.linalg.det(corners)) < 1e-6:
            continue
        share = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(corners)
        edges = np.linalg.norm(np.diff(vertices[triangle][[1, 2, 0, 1]], axis=0), axis=1)
        inside = share.min(-1) >= 0
        places = share @ reference[triangle]
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
                value = value + weight[..., None] * picture[row, column]
        frame[inside] = value[inside]
        height = np.abs(np.linalg.det(corners)) / edges
        depth[inside] = (share * height).min(-1)[inside]
    return frame, depth


def test_at_rest_the_picture_comes_back():
    picture = drawn_picture()
    vertices, triangles = mesh()
    assert np.array_equal(PiecewiseWarp(vertices, triangles, picture).render(vertices), picture)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_moved_vertices_equal_a_warp_by_hand(channels):
    picture = drawn_picture(channels)
    vertices, triangles = mesh(1)
    moved = vertices.copy()
    moved[:40] += np.random.default_rng(2).normal(0, 0.7, (40, 2)) + (3, -2)
    frame = PiecewiseWarp(vertices, triangles, picture).render(moved)
    assert frame.shape[:2] == picture.shape[:2]
    expected, depth = by_hand(picture, vertices, triangles, moved)
    error = np.abs(frame.reshape(expected.shape) - expected).max(-1)
    # OpenCV looks between pixels in steps of 1/32; on an edge the neighbour's map may serve.
    assert error[depth > 1.0].max() <= 2.0
    assert error.max() < 25 and np.percentile(error, 99) < 3


def test_a_known_affine_motion():
    picture = drawn_picture(3)
    triangles = [(0, 1, 2), (0, 2, 3)]
    affine = np.array([[0.9, 0.1, 5.0], [-0.05, 0.95, 4.0]])
    frame = PiecewiseWarp(CORNERS, triangles, picture).render(
        CORNERS @ affine[:, :2].T + affine[:, 2]
    )
    expected = cv2.warpAffine(picture, affine, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    covered = cv2.warpAffine(np.ones((HEIGHT, WIDTH), np.uint8), affine, (WIDTH, HEIGHT))
    inside = cv2.erode(covered, np.ones((3, 3), np.uint8)) > 0
    difference = np.abs(frame.astype(int) - expected)[inside]
    assert inside.mean() > 0.6 and difference.max() <= 2
    assert not frame[cv2.dilate(covered, np.ones((5, 5), np.uint8)) == 0].any()


def test_alpha_is_carried_with_its_colour():
    picture = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    picture[20:60, 30:70] = (10, 200, 30, 255)
    frame = PiecewiseWarp(CORNERS, [(0, 1, 2), (0, 2, 3)], picture).render(CORNERS + (12, 7))
    assert np.array_equal(frame[27:67, 42:82], picture[20:60, 30:70])
    assert frame[..., 3].sum() == picture[..., 3].sum()


def test_later_triangles_lie_on_top():
    picture = drawn_picture(3)
    picture[:, :60], picture[:, 60:] = 50, 200
    left = np.array([(0, 0), (50, 0), (0, 80)], float)
    right = np.array([(70, 0), (119, 0), (70, 80)], float)
    both = np.concatenate([left, right])
    over = np.concatenate([left, left])
    last = PiecewiseWarp(both, [(0, 1, 2), (3, 4, 5)], picture).render(over)
    first = PiecewiseWarp(both, [(3, 4, 5), (0, 1, 2)], picture).render(over)
    assert (last[5:30, 5:20] == 200).all() and (first[5:30, 5:20] == 50).all()


def test_folded_and_collapsed_triangles_do_no_harm():
    picture = drawn_picture()
    vertices, triangles = mesh(3)
    warp = PiecewiseWarp(vertices, triangles, picture)
    folded = vertices.copy()
    folded[0], folded[1] = vertices[1] + (15, 0), vertices[0]
    folded[2] = folded[3]
    frame = warp.render(folded)
    assert frame.shape == picture.shape and frame.min() > 0
    far = vertices.copy()
    far[:40] = 1e7
    warp.render(far)
    assert np.array_equal(warp.render(vertices), picture)


def test_more_triangles_than_a_byte_can_number():
    picture = drawn_picture(3)
    vertices, triangles = mesh(4, inner=300)
    assert len(triangles) > 510
    warp = PiecewiseWarp(vertices, triangles, picture)
    assert np.array_equal(warp.render(vertices), picture)
    moved = vertices.copy()
    moved[:300] += (2, 1)
    expected, depth = by_hand(picture, vertices, triangles, moved)
    error = np.abs(warp.render(moved) - expected).max(-1)
    assert error[depth > 1.0].max() <= 2.0


@pytest.mark.parametrize(
    ("vertices", "triangles", "message"),
    [
        (CORNERS, [(0, 1, 4)], "outside 0 to 3"),
        (CORNERS, [(0, 1)], r"\(M, 3\)"),
        (CORNERS[:, :1], [(0, 1, 2)], r"\(V, 2\)"),
        (CORNERS * np.nan, [(0, 1, 2)], "finite"),
    ],
)
def test_what_does_not_fit_is_refused(vertices, triangles, message):
    with pytest.raises(ValueError, match=message):
        PiecewiseWarp(vertices, triangles, drawn_picture())
    with pytest.raises(ValueError, match=r"\(4, 2\)"):
        PiecewiseWarp(CORNERS, [(0, 1, 2)], drawn_picture()).render(CORNERS[:3])


@pytest.mark.parametrize("inner", [40, 300])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_on_a_device_of_pytorch_frames_are_the_same(channels, inner):
    picture = drawn_picture(channels)
    picture[20:40, 30:50] = 255  # hard edges
    picture[40:60, 50:80] = 0
    vertices, triangles = mesh(5, inner)
    moved = vertices.copy()
    moved[:inner] += np.random.default_rng(6).normal(0, 2, (inner, 2))
    triangles = triangles[:-3]  # a hole
    on_processor = PiecewiseWarp(vertices, triangles, picture)
    on_device = PiecewiseWarp(vertices, triangles, picture, device="cpu")
    for place in (vertices, moved):
        expected, made = on_processor.render(place), on_device.render(place)
        assert made.shape == expected.shape and made.dtype == np.uint8
        assert np.abs(made.astype(int) - expected).max() <= 1


def test_on_a_device_of_pytorch_the_background_is_seen_alike():
    picture = drawn_picture(4)
    picture[..., 3] = np.clip(np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)) * 2 - 60, 0, 255)
    background = np.ascontiguousarray(drawn_picture(3)[::-1])
    vertices, triangles = mesh(7)
    layers = premultiplied(picture), background
    on_processor = PiecewiseWarp(vertices, triangles, *layers)
    on_device = PiecewiseWarp(vertices, triangles, *layers, device="cpu")
    moved = vertices + np.random.default_rng(8).normal(0, 1, vertices.shape)
    expected = on_processor.render(moved)
    assert expected.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(on_device.render(moved).astype(int) - expected).max() <= 1
    # At rest, what is behind counts by what alpha leaves of it.
    alpha = picture[..., 3:] / 255
    by_hand = picture[..., :3] * alpha + background * (1 - alpha)
    assert np.abs(on_processor.render(vertices) - by_hand).max() <= 1.01
    with pytest.raises(ValueError, match="background of"):
        PiecewiseWarp(vertices, triangles, picture[..., :3], background)
