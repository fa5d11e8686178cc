"""A drawing becomes a puppet; where it cannot, one line says why."""

from pathlib import Path

import cv2
import numpy as np
import pytest

import main_gen_new_puppet
from main_gen_new_puppet import plain_face
from src.face.drawings import detect_drawn, lay_jaw, lips_on_outline
from src.io.image import read_picture
from src.puppets import puppet as puppets
from src.puppets.cutout import cut_out

ROOT = Path(__file__).resolve().parents[1]
CARTOONS = ROOT / "examples_cartoon"
SHARED = ROOT.parent / "shared"
EMBEDDED = ROOT / "examples" / "ckpt" / "embedded"
needs_weights = pytest.mark.skipif(not EMBEDDED.is_dir(), reason="needs examples/ckpt/embedded")
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared")


@needs_weights
def test_a_drawing_becomes_a_puppet(tmp_path):
    assert main_gen_new_puppet.main([str(CARTOONS / "clara.png"), "--out_dir", str(tmp_path)]) == 0
    made = puppets.read_puppet(tmp_path / "clara.png")
    drawn = puppets.read_puppet(CARTOONS / "clara.png")
    width = drawn.landmarks[16, 0] - drawn.landmarks[0, 0]
    error = np.linalg.norm(made.landmarks - drawn.landmarks, axis=1) / width
    assert error.mean() < 0.025
    assert error[48:].mean() < 0.025
    assert len(made.triangles) == 146
    sheet = cv2.imread(str(tmp_path / "clara_preview.png"))
    assert sheet.shape == (2 * 680, 2 * 640, 3)
    # Closed above, wide open below: the mouth differs, the hat does not.
    closed, opened = sheet[:680, 640:].astype(int), sheet[680:, 640:].astype(int)
    assert np.abs(closed - opened)[400:480, 280:360].mean() > 20
    assert np.abs(closed - opened)[:200].max() == 0
    assert len(list(tmp_path.iterdir())) == 7


@needs_weights
def test_points_from_a_file_are_used_as_they_are(tmp_path):
    drawn = puppets.read_puppet(CARTOONS / "yuki.png")
    points = tmp_path / "points.txt"
    np.savetxt(points, drawn.landmarks, "%.4f")
    arguments = [str(CARTOONS / "yuki.png"), "--landmarks", str(points), "--inner_lip"]
    assert main_gen_new_puppet.main([*arguments, "--out_dir", str(tmp_path)]) == 0
    made = puppets.read_puppet(tmp_path / "yuki.png")
    np.testing.assert_allclose(made.landmarks, drawn.landmarks)
    assert made.inner_lip
    assert made.triangles.shape == drawn.triangles.shape


def test_a_drawing_is_cut_out_of_a_plain_wall():
    drawing = read_picture(CARTOONS / "leo.png")
    wall = np.array((90, 180, 120))
    share = drawing[..., 3:] / 255
    flat = np.round(drawing[..., :3] * share + wall * (1 - share)).astype(np.uint8)
    cut = cut_out(flat)
    error = np.abs(cut[..., 3].astype(int) - drawing[..., 3])
    assert (error > 60).mean() < 0.005  # the one-pixel rim at most
    # Over white nothing of the wall is left round the drawing.
    over = cut[..., :3] * (cut[..., 3:] / 255) + 255 * (1 - cut[..., 3:] / 255)
    expected = drawing[..., :3] * share + 255 * (1 - share)
    assert (np.abs(over - expected).max(-1) > 60).mean() < 0.003
    assert cut_out(drawing) is drawing


@needs_weights
def test_cut_out_puppets_are_png(tmp_path):
    drawing = read_picture(CARTOONS / "count.png")
    share = drawing[..., 3:] / 255
    flat = (drawing[..., :3] * share + 240 * (1 - share)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "flat.bmp"), flat)
    points = str(CARTOONS / "count_face_open_mouth.txt")
    arguments = [str(tmp_path / "flat.bmp"), "--landmarks", points, "--cutout"]
    assert main_gen_new_puppet.main(arguments) == 0
    made = puppets.read_puppet(tmp_path / "flat.png")
    assert made.picture.shape == (720, 672, 4)
    assert (made.picture[:10, :10, 3] == 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody"], "nobody: no such puppet"),
        (["maestro", "--landmarks", "none.pts"], "none.pts: no such landmarks"),
        (["maestro", "--cutout"], "--cutout would write over it"),
        (["maestro", "--edit", "--landmarks"], "expected one argument"),
        (["maestro", "--out_dir", __file__], "cannot be written"),
    ],
)
def test_what_is_wrong_is_one_line(arguments, message, capsys):
    before = sorted(CARTOONS.iterdir())
    try:
        code = main_gen_new_puppet.main(arguments)
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(CARTOONS.iterdir()) == before


def test_no_face_and_no_plain_wall_are_said(tmp_path, capsys):
    clouds = tmp_path / "clouds.png"
    rng = np.random.default_rng(0)
    noise = cv2.GaussianBlur(rng.integers(0, 255, (200, 200, 3)).astype(np.uint8), (0, 0), 9)
    cv2.imwrite(str(clouds), cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX))
    assert main_gen_new_puppet.main([str(clouds)]) == 2
    error = capsys.readouterr().err
    assert "clouds.png: no face found: give the 68 points by --landmarks FILE" in error
    arguments = [str(clouds), "--out_dir", str(tmp_path / "out"), "--cutout"]
    points = tmp_path / "points.txt"
    np.savetxt(points, np.random.default_rng(1).uniform(20, 180, (68, 2)))
    assert main_gen_new_puppet.main([*arguments, "--landmarks", str(points)]) == 2
    assert "--cutout needs a background of one colour" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clouds.png", "points.txt"]


def test_without_a_screen_editing_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    points = str(CARTOONS / "leo_face_open_mouth.txt")
    arguments = [str(CARTOONS / "leo.png"), "--landmarks", points, "--edit"]
    assert main_gen_new_puppet.main([*arguments, "--out_dir", str(tmp_path)]) == 2
    assert "there is no screen" in capsys.readouterr().err


@needs_shared
@pytest.mark.parametrize(
    ("name", "most", "without_lips"),
    [
        ("roy_example.png", 0.023, None),
        ("cartoonM.png", 0.03, None),
        ("sketch.png", 0.034, 0.033),
        ("danbooru1.jpg", 0.041, 0.039),
    ],
)
def test_official_puppets_are_found_where_the_release_has_them(name, most, without_lips):
    path = SHARED / "puppets" / name
    official, picture = puppets.read_puppet(path).landmarks, read_picture(path)
    found = detect_drawn(picture, "mediapipe", name)
    width = np.linalg.norm(official[16] - official[0])
    assert np.linalg.norm(found - official, axis=1).mean() < most * width
    if without_lips:  # as --inner_lip has it, which is for mouths like these
        found = lips_on_outline(picture, found)
        assert np.linalg.norm(found - official, axis=1).mean() < without_lips * width


@needs_shared
@pytest.mark.parametrize("name", ["puppets/wilk.png", "puppets/color.jpg"])
def test_a_face_that_only_some_looks_see_is_not_guessed_at(name, tmp_path, capsys):
    arguments = [str(SHARED / name), "--out_dir", str(tmp_path / "out")]
    assert main_gen_new_puppet.main([*arguments, "--landmark_detector", "mediapipe"]) == 2
    error = capsys.readouterr().err
    assert "no face found that one can be sure of: give the 68 points by --landmarks" in error
    assert not list(tmp_path.iterdir())


def test_a_beard_is_no_face():
    """A single look takes the bearded captain's cheek for a face."""
    drawn = puppets.read_puppet(CARTOONS / "captain.png")
    found = detect_drawn(drawn.picture, "mediapipe", "captain")
    width = drawn.landmarks[16, 0] - drawn.landmarks[0, 0]
    assert np.linalg.norm(found - drawn.landmarks, axis=1).mean() < 0.06 * width


def test_a_mouth_without_lips_is_as_large_as_its_outline():
    drawn = puppets.read_puppet(CARTOONS / "clara.png").landmarks
    width = drawn[16, 0] - drawn[0, 0]
    middle = drawn[48:60].mean(0)
    turn = np.linspace(0, 2 * np.pi, 300)
    outline = middle + width * np.stack([0.15 * np.cos(turn), 0.1 * np.sin(turn)], 1)
    picture = np.full((680, 640, 3), (150, 180, 230), np.uint8)
    cv2.fillPoly(picture, [np.round(outline).astype(np.int32)], (60, 40, 160))
    seen = drawn.copy()
    seen[48:60] = middle + 1.15 * (
        outline[np.linspace(150, 449, 13)[:-1].astype(int) % 300] - middle
    )
    bare = lips_on_outline(picture, seen)
    np.testing.assert_array_equal(bare[:60], seen[:60])
    off = np.linalg.norm(bare[60:, None] - outline, axis=-1).min(1)
    assert off.max() < 0.012 * width
    assert bare[60, 0] < bare[61, 0] < bare[62, 0] < bare[63, 0] < bare[64, 0]
    assert (bare[61:64, 1] < bare[[67, 66, 65], 1] - 0.1 * width).all()


def test_the_jaw_is_laid_on_the_drawn_outline():
    drawn = puppets.read_puppet(CARTOONS / "maestro.png").landmarks
    width = drawn[16, 0] - drawn[0, 0]
    turn = np.linspace(-0.2, np.pi + 0.2, 300)
    centre = drawn[36:48].mean(0) + (0, 0.05 * width)
    outline = centre + width * np.stack([-0.52 * np.cos(turn), 0.75 * np.sin(turn)], 1)
    picture = np.full((680, 640, 3), 235, np.uint8)
    cv2.fillPoly(picture, [np.round(outline).astype(np.int32)], (150, 180, 230))
    cv2.polylines(picture, [np.round(outline).astype(np.int32)], False, (20, 20, 20), 2)
    before = drawn.copy()
    before[:17] = centre + 0.9 * (before[:17] - centre)
    after = lay_jaw(picture, before)
    np.testing.assert_array_equal(after[17:], before[17:])
    off = np.linalg.norm(after[:17, None] - outline, axis=-1).min(1)
    assert off.max() < 0.02 * width
    steps = np.linalg.norm(np.diff(after[:17], axis=0), axis=1)
    assert steps.max() < 1.1 * steps.min()
    assert abs(after[[0, 16], 1].mean() - drawn[36:48, 1].mean()) < 0.05 * width


def test_the_middle_of_the_jaw_is_the_chin_of_a_turned_face():
    face = puppets.read_puppet(CARTOONS / "maestro.png").landmarks
    width = face[16, 0] - face[0, 0]
    centre = face[36:48].mean(0)

    def outline(count: int, aside: float) -> np.ndarray:
        """Half an ellipse whose lowest point is so far aside, in widths."""
        turn = np.linspace(0, np.pi, count)
        x = -0.5 * np.cos(turn) + aside * np.sin(turn) ** 3
        return centre + width * np.stack([x, 0.75 * np.sin(turn)], 1)

    picture = np.full((680, 640, 3), 230, np.uint8)
    line = np.round(outline(300, 0.1)).astype(np.int32)
    cv2.polylines(picture, [line], False, (20, 20, 20), 3)
    face[:17] = outline(17, 0.0)
    laid = lay_jaw(picture, face)
    assert laid[8] - face[8] == pytest.approx([0.1 * width, 0], abs=0.02 * width)
    steps = np.linalg.norm(np.diff(laid[:17], axis=0), axis=1)
    assert steps[:8].mean() > 1.1 * steps[8:].mean()
    for half in (steps[:8], steps[8:]):
        assert half.max() < 1.1 * half.min()


@needs_weights
def test_where_no_face_is_found_a_plain_one_can_be_dragged(tmp_path, monkeypatch, capsys):
    picture = np.full((120, 200, 3), 128, np.uint8)
    face = plain_face(picture, puppets.read_standard_face(EMBEDDED.parent))
    assert np.ptp(face[:, 0]) == pytest.approx(60, abs=1)
    assert (face > (60, 20)).all() and (face < (140, 100)).all()
    assert face[8, 1] > face[57, 1] > face[30, 1] > face[36, 1]
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    cv2.imwrite(str(tmp_path / "wall.png"), picture)
    assert main_gen_new_puppet.main([str(tmp_path / "wall.png"), "--edit"]) == 2
    error = capsys.readouterr().err
    assert "wall.png: no face found; a plain face to begin with" in error
    assert "there is no screen" in error


def test_a_puppet_that_is_there_is_not_lost(tmp_path, capsys):
    given = str(CARTOONS / "clara_face_open_mouth.txt")
    arguments = [str(CARTOONS / "clara.png"), "--landmarks", given, "--out_dir", str(tmp_path)]
    assert main_gen_new_puppet.main(arguments) == 0
    points = tmp_path / "clara_face_open_mouth.txt"
    points.write_text("placed by hand")
    assert main_gen_new_puppet.main(arguments) == 2
    assert "clara_face_open_mouth.txt: there is such a puppet already" in capsys.readouterr().err
    assert points.read_text() == "placed by hand"
    assert main_gen_new_puppet.main([*arguments, "--overwrite"]) == 0
    assert len(points.read_text().splitlines()) == 68
