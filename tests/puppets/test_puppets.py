"""Puppet files: the release's read as they are, own ones written so that they can be read."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from src.errors import InputError
from src.face.geometry import denormalise
from src.face.topology import INNER_LIP_PAIRS, INNER_LIPS
from src.puppets import puppet as puppets
from src.puppets.renderer import puppet_renderer

SHARED = Path(__file__).resolve().parents[3] / "shared" / "puppets"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/puppets")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples_cartoon"
DEPTH = np.linspace(-0.8, 0.6, 68)
WIDTH, HEIGHT = 160, 200

# Name, without outer lips?, count of outside points.
OFFICIAL = [
    ("wilk.png", True, 12),
    ("roy.png", False, 12),
    ("sketch.png", True, 8),
    ("color.jpg", False, 8),
    ("cartoonM.png", False, 12),
    ("danbooru1.jpg", True, 12),
    ("roy_example.png", False, 12),
]


def drawn_face() -> np.ndarray:
    """Landmarks (68, 2) of a plain face with an open mouth, in a picture of 160 x 200."""
    turn = np.linspace(0, np.pi, 17)
    jaw = np.stack([80 - 50 * np.cos(turn), 90 + 70 * np.sin(turn)], 1)
    brows = [
        (x, 70 - 3 * (i % 5 == 2)) for i, x in enumerate([*range(42, 67, 6), *range(94, 119, 6)])
    ]
    nose = [(80, y) for y in (85, 93, 101, 109)] + [(x, 115) for x in (70, 75, 80, 85, 90)]
    eyes = [
        (c + 9 * dx, 85 + 5 * dy)
        for c in (55, 105)
        for dx, dy in ((-1, 0), (-0.4, -1), (0.4, -1), (1, 0), (0.4, 1), (-0.4, 1))
    ]

    def ring(width, height, count):
        angle = np.pi - np.arange(count) * 2 * np.pi / count
        return np.stack([80 + width * np.cos(angle), 135 - height * np.sin(angle)], 1)

    return np.concatenate([jaw, brows, nose, eyes, ring(24, 14, 12), ring(18, 9, 8)])


def drawing(alpha: bool = True) -> np.ndarray:
    """Smooth waves; with alpha a disc of it, soft at its edge."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = [127 + 100 * np.sin(x / (9 + 2 * c) + c) * np.cos(y / (11 - c)) for c in range(3)]
    if alpha:
        waves.append(np.clip(40 * (75 - np.hypot(x - 80, y - 100)), 0, 255))
    return np.dstack(waves).round().astype(np.uint8)


def puppet_on_disk(folder: Path, **options) -> Path:
    path = folder / "clown.png"
    cv2.imwrite(str(path), drawing())
    puppet = puppets.new_puppet("clown", drawing(), drawn_face(), DEPTH, **options)
    puppets.write_puppet(puppet, path)
    return path


@pytest.fixture
def clown(tmp_path) -> Path:
    return puppet_on_disk(tmp_path)


@needs_shared
@pytest.mark.parametrize(("name", "inner_lip", "outside"), OFFICIAL)
def test_the_official_puppets_are_read(name, inner_lip, outside, caplog):
    puppet = puppets.read_puppet(SHARED / name)
    assert not caplog.records
    assert (puppet.inner_lip, len(puppet.outside)) == (inner_lip, outside)
    assert puppet.vertices(puppet.landmarks).shape == (puppet.triangles.max() + 1, 2)
    if name != "roy.png":  # the release placed this one by hand
        back = denormalise(puppet.closed_face, puppet.scale, puppet.shift)[:48, :2]
        assert np.abs(back - puppet.landmarks[:48]).max() < 0.02


@needs_shared
def test_the_special_puppets_have_the_numbers_of_the_release():
    color, sketch = (puppets.read_puppet(SHARED / n) for n in ("color.jpg", "sketch.png"))
    assert color.outside.tolist() == puppets.outside_points(500, 281, 8).tolist()
    assert color.scale == -0.012986159189209149
    assert sketch.outside[5].tolist() == [10465, 221]
    assert sketch.shift.tolist() == [-226.8411, -176.5216]


@needs_shared
def test_roy_example_is_made_again_digit_by_digit(tmp_path):
    picture = tmp_path / "roy_example.png"
    shutil.copy(SHARED / "roy_example.png", picture)
    # Not from its .pts: the release moved 18 of those points by hand afterwards.
    points = puppets.read_landmarks(SHARED / "roy_example_face_open_mouth.txt")
    depth = np.loadtxt(SHARED / "STD_FACE_LANDMARKS.txt")[:, 2]
    drawing = cv2.imread(str(picture), cv2.IMREAD_UNCHANGED)
    puppet = puppets.new_puppet("roy_example", drawing, points, depth, as_released=True)
    written = puppets.write_puppet(puppet, picture)
    assert len(written) == 5
    for path in written[:4]:
        assert path.read_text().split() == (SHARED / path.name).read_text().split(), path.name
    # The release's own is a little off Delaunay; 121 of 146 triangles are the same.
    ours, official = (
        {tuple(sorted(t)) for t in puppets.read_triangles(f / written[4].name)}
        for f in (tmp_path, SHARED)
    )
    assert len(ours) == len(official) == 146
    assert len(ours & official) > 115


@needs_shared
@pytest.mark.parametrize(("name", "inner_lip", "outside"), OFFICIAL)
def test_an_official_puppet_at_rest_is_its_drawing(name, inner_lip, outside):
    puppet = puppets.read_puppet(SHARED / name)
    background = np.full((*puppet.picture.shape[:2], 3), (30, 90, 160), np.uint8)
    frame = puppet_renderer(puppet, background).render(puppet.landmarks)
    expected = puppet.picture[..., :3].astype(float)
    if puppet.picture.shape[2] == 4:
        share = puppet.picture[..., 3:] / 255
        expected = expected * share + background * (1 - share)
    assert np.abs(frame - expected).max() <= 1.51  # two roundings


@pytest.mark.parametrize("inner_lip", [False, True])
def test_a_written_puppet_is_read_back(tmp_path, inner_lip):
    path = puppet_on_disk(tmp_path, inner_lip=inner_lip)
    puppet = puppets.read_puppet(path)
    assert puppet.inner_lip == inner_lip
    assert len(puppet.vertices(puppet.landmarks)) == (68 if inner_lip else 80)
    np.testing.assert_allclose(puppet.landmarks, drawn_face(), atol=1e-4)
    assert puppet.scale == pytest.approx(1.6 / -100)
    np.testing.assert_allclose(puppet.shift, (-80, -90))
    np.testing.assert_allclose(puppet.closed_face[:, 2], DEPTH, atol=1e-4)
    assert len(puppet.triangles) == (122 if inner_lip else 146)


def test_lips_and_eyes_have_whole_outlines():
    # A mouth so wide that Delaunay alone reaches from the lower outer lip to the upper inner one.
    maestro = puppets.read_puppet(EXAMPLES / "maestro.png")
    face, outside = maestro.landmarks, maestro.outside
    vertices = puppets.mesh_vertices(face, outside, False)
    plain = puppets.triangulate(vertices, False, as_released=True)
    mended = puppets.triangulate(vertices, False)

    def edges(triangles):
        return {frozenset((t[i], t[i - 1])) for t in triangles for i in range(3)}

    def area(triangles):
        a, b, c = (vertices[triangles[:, i]] for i in range(3))
        return np.abs(np.cross(b - a, c - a)).sum() / 2

    rings = [(36, 42), (42, 48), (48, 60), (60, 68)]
    wanted = {frozenset((p, p + 1 if p + 1 < b else a)) for a, b in rings for p in range(a, b)}
    assert wanted - edges(plain)
    assert not wanted - edges(mended)
    assert len(mended) == len(plain)
    assert area(mended) == pytest.approx(area(plain), rel=1e-12)
    assert (mended[:6] >= 60).all()
    assert (mended[:6] < 68).all()


def test_four_vertex_layouts():
    assert puppets.VERTEX_LAYOUTS == {
        80: (False, 12),
        76: (False, 8),
        68: (True, 12),
        64: (True, 8),
    }


def test_a_shut_mouth_is_shut_and_keeps_its_lips():
    face = drawn_face()
    shut = puppets.shut_mouth(face)
    for upper, lower in INNER_LIP_PAIRS:
        np.testing.assert_allclose(shut[upper], shut[lower])
    assert shut[62, 1] - shut[51, 1] == pytest.approx(face[62, 1] - face[51, 1])
    assert shut[57, 1] - shut[66, 1] == pytest.approx(face[57, 1] - face[66, 1])
    np.testing.assert_array_equal(np.delete(shut, range(48, 68), 0), face[:48])
    np.testing.assert_allclose(puppets.shut_mouth(shut), shut)
    released = puppets.close_mouth_as_released(np.column_stack([face, DEPTH]))
    gap = (face[66] - face[62])[1]
    assert released[66, 1] - released[62, 1] == pytest.approx(gap / 4)


def test_a_mouth_without_lips_shuts_to_its_line(tmp_path):
    """A black outline, marked along its outside as the release does, round a white inside."""
    face = drawn_face()
    picture = np.full((HEIGHT, WIDTH, 3), (90, 160, 200), np.uint8)
    mouth = face[INNER_LIPS]
    for ring, colour in ((mouth, (0, 0, 0)), (0.75 * mouth + 0.25 * mouth.mean(0), (255,) * 3)):
        cv2.fillPoly(picture, [np.round(16 * ring).astype(np.int32)], colour, shift=4)
    path = tmp_path / "line.png"
    cv2.imwrite(str(path), picture)
    puppet = puppets.new_puppet("line", picture, face, DEPTH, inner_lip=True, as_released=True)
    puppets.write_puppet(puppet, path)
    read = puppets.read_puppet(path)
    mended = puppets.mended(read)
    assert np.abs(mended.landmarks - read.landmarks)[[60, 64]].max() == 0
    shut = denormalise(mended.closed_face, mended.scale, mended.shift)[:, :2]
    for upper, lower in INNER_LIP_PAIRS:
        np.testing.assert_allclose(shut[upper], shut[lower], atol=1e-6)
    x, y = np.round(shut[62]).astype(int)
    column = puppet_renderer(mended).render(shut)[y - 8 : y + 9, x - 4 : x + 5].max(-1)
    assert (column.min(0) < 60).all()  # the line is there
    assert column.max() < 215  # and nothing of the white inside
    # What shuts already was marked on purpose.
    drawn = puppets.new_puppet("line", picture, face, DEPTH, inner_lip=True)
    np.testing.assert_array_equal(puppets.mended(drawn).landmarks, face)


def test_a_closed_face_of_another_drawing_is_made_anew(clown, caplog):
    puppet = puppets.read_puppet(clown)
    assert puppets.mended(puppet).scale == puppet.scale
    assert not caplog.records
    clown.with_name("clown_scale_shift.txt").write_text("-0.012\n-80\n-90\n")
    puppet = puppets.mended(puppets.read_puppet(clown))
    assert "lies 23 pixels off the drawing" in caplog.text
    back = denormalise(puppet.closed_face, puppet.scale, puppet.shift)[:48, :2]
    np.testing.assert_allclose(back, puppet.landmarks[:48], atol=1e-3)


def test_a_frame_left_by_cropping_is_taken_off():
    plain = drawing(alpha=False)
    framed = plain.copy()
    framed[0], framed[:, -1] = 10, 10
    frameless = puppets.without_frame(framed)
    assert np.abs(frameless.astype(int) - plain).max() < 20
    assert (framed[0] == 10).all()
    np.testing.assert_array_equal(puppets.without_frame(plain), plain)
    np.testing.assert_array_equal(puppets.without_frame(drawing()), drawing())


def test_the_background_shows_through_alpha_only(clown):
    puppet = puppets.read_puppet(clown)
    background = np.full((HEIGHT, WIDTH, 3), (10, 200, 60), np.uint8)
    frame = puppet_renderer(puppet, background).render(puppet.landmarks)
    share = puppet.picture[..., 3:] / 255
    expected = puppet.picture[..., :3] * share + background * (1 - share)
    assert np.abs(frame - expected).max() <= 1.51
    assert (frame[5, 5] == (10, 200, 60)).all()
    white = puppet_renderer(puppet).render(puppet.landmarks)
    assert (white[5, 5] == 255).all()


def test_a_moved_face_moves_its_pixels(clown):
    puppet = puppets.read_puppet(clown)
    moved = puppet.landmarks + (7, -3)
    frame = puppet_renderer(puppet).render(moved)
    rest = puppet_renderer(puppet).render(puppet.landmarks)
    inside = (slice(90, 130), slice(40, 120))
    shifted = rest[93:133, 33:113]
    assert np.abs(frame[inside].astype(int) - shifted).max() <= 2


def test_a_mouth_that_crosses_leaves_no_hole(clown):
    puppet = puppets.read_puppet(clown)
    crossed = puppet.landmarks.copy()
    for upper, lower in INNER_LIP_PAIRS:
        crossed[[upper, lower]] = crossed[[lower, upper]]
    opaque = puppets.new_puppet(
        "clown", np.full((HEIGHT, WIDTH, 3), 200, np.uint8), drawn_face(), DEPTH
    )
    assert (puppet_renderer(opaque).render(crossed) == 200).all()


def test_names_are_looked_up_with_and_without_extension(clown, tmp_path):
    empty = tmp_path / "empty"
    assert puppets.find_picture("clown", clown.parent) == clown
    assert puppets.find_picture("clown.png", clown.parent) == clown
    assert puppets.find_picture(str(clown.with_suffix("")), empty) == clown
    for name in ("nobody", "", "/", "a\0b", "x" * 5000):
        with pytest.raises(InputError, match="no such puppet"):
            puppets.find_picture(name, clown.parent)


@pytest.mark.parametrize(
    ("ending", "text", "message"),
    [
        ("_face_open_mouth.txt", None, "no such file"),
        ("_face_open_mouth.txt", "1 2 1\n" * 67, "67 lines of numbers, expected 68"),
        ("_face_open_mouth.txt", "1 2 1\n" * 67 + "1 x 1\n", "line 68 is not 3 numbers: '1 x 1'"),
        ("_face_close_mouth.txt", "1 nan 1\n" * 68, "line 1 is not 3 numbers"),
        ("_face_close_mouth.txt", "1 2\n" * 68, "line 1 is not 3 numbers"),
        ("_scale_shift.txt", "-0.01\n4\n", "2 lines of numbers, expected 3"),
        ("_scale_shift.txt", "0\n4\n4\n", "a scale of 0"),
        ("_delauney_tri.txt", "", "no triangles"),
        ("_delauney_tri.txt", "1 2 80\n", "index 80 is out of range"),
        ("_delauney_tri.txt", "1 2 79\n1 2 -1\n", "a negative index, -1"),
        ("_delauney_tri.txt", "1 2.5 79\n", "not a whole number"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(clown, ending, text, message):
    path = clown.with_name("clown" + ending)
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(InputError, match=message) as problem:
        puppets.read_puppet(clown)
    assert str(path) in str(problem.value)
    assert "\n" not in str(problem.value)


def test_a_background_of_another_size_is_refused(clown):
    path = clown.with_name("clown_bg.jpg")
    cv2.imwrite(str(path), np.zeros((50, 60, 3), np.uint8))
    assert puppets.PuppetFiles(clown).background() == path
    with pytest.raises(InputError, match="60 x 50 pixels, but the puppet clown has 160 x 200"):
        puppets.read_background(path, puppets.read_puppet(clown))


def test_a_missing_scale_is_worked_out_and_a_wrong_claim_told(clown, caplog):
    clown.with_name("clown_scale_shift.txt").unlink()
    puppet = puppets.read_puppet(clown, inner_lip=True)
    assert puppet.scale == pytest.approx(-0.016)
    assert not puppet.inner_lip
    assert len(caplog.records) == 2


def test_landmarks_come_from_pts_and_text(tmp_path):
    face = drawn_face()
    lines = [f"{x:.3f} {y:.3f}" for x, y in face]
    pts, text = tmp_path / "a.pts", tmp_path / "b.txt"
    pts.write_text("\n".join(["version: 1", "n_points: 68", "{", *lines, "}"]))
    text.write_text("\n".join(f"{line} 1.0" for line in lines))
    for path in (pts, text):
        np.testing.assert_allclose(puppets.read_landmarks(path), face, atol=1e-3)
    text.write_text("\n".join(lines[:-1]))
    with pytest.raises(InputError, match="67 points, expected 68"):
        puppets.read_landmarks(text)
    text.write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(InputError, match="not a text file"):
        puppets.read_landmarks(text)


@pytest.mark.parametrize("name", ["maestro", "captain", "clara", "yuki", "leo", "count"])
def test_the_own_puppets_are_whole(name, caplog):
    path = EXAMPLES / f"{name}.png"
    puppet = puppets.read_puppet(path)
    background = puppets.read_background(puppets.PuppetFiles(path).background(), puppet)
    assert not caplog.records
    assert puppet.picture.shape[2] == 4
    alpha = puppet.picture[..., 3]
    assert 0.3 < (alpha > 0).mean() < 0.8
    renderer = puppet_renderer(puppet, background)
    frame = renderer.render(puppet.landmarks)
    assert (frame[alpha == 0] == background[alpha == 0]).all()
    # The closed face of the file is in the same place, and shut.
    closed = denormalise(puppet.closed_face, puppet.scale, puppet.shift)[:, :2]
    width = np.ptp(puppet.landmarks[:17, 0])
    assert np.abs(closed - puppet.landmarks)[:48].max() < 0.05 * width
    gaps = [closed[lower] - closed[upper] for upper, lower in INNER_LIP_PAIRS]
    assert np.abs(gaps).max() < 0.05
    # The dark inside of the open mouth is gone when the mouth is shut.
    y, x = puppet.landmarks[60:68].mean(0)[::-1].round().astype(int)
    shut = renderer.render(closed)
    assert np.abs(shut[y, x].astype(int) - frame[y, x]).max() > 40
