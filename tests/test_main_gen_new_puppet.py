"""Creation of puppets by command; bad input is refused in one line."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

import main_gen_new_puppet
from src.io.image import read_image
from src.puppets.files import read_puppet

ROOT = Path(__file__).resolve().parents[1]
CARTOONS = ROOT / "examples_cartoon"
SHARED = ROOT.parent / "shared"
EMBEDDED = ROOT / "examples" / "ckpt" / "embedded"
needs_weights = pytest.mark.skipif(not EMBEDDED.is_dir(), reason="needs examples/ckpt/embedded")
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared")


@needs_weights
def test_a_drawing_becomes_a_puppet(tmp_path):
    assert main_gen_new_puppet.main([str(CARTOONS / "clara.png"), "--out_dir", str(tmp_path)]) == 0
    created = read_puppet(tmp_path / "clara.png")
    bundled = read_puppet(CARTOONS / "clara.png")
    width = bundled.landmarks[16, 0] - bundled.landmarks[0, 0]
    error = np.linalg.norm(created.landmarks - bundled.landmarks, axis=1) / width
    assert error.mean() < 0.025
    assert error[48:].mean() < 0.025
    assert len(created.triangles) == 146
    sheet = cv2.imread(str(tmp_path / "clara_preview.png"))
    assert sheet.shape == (2 * 680, 2 * 640, 3)
    # Closed above, wide open below: the mouth differs, the hat does not.
    closed, opened = sheet[:680, 640:].astype(int), sheet[680:, 640:].astype(int)
    assert np.abs(closed - opened)[400:480, 280:360].mean() > 20
    assert np.abs(closed - opened)[:200].max() == 0
    assert len(list(tmp_path.iterdir())) == 7


@needs_weights
def test_points_from_a_file_are_used_as_they_are(tmp_path):
    bundled = read_puppet(CARTOONS / "yuki.png")
    points = tmp_path / "points.txt"
    np.savetxt(points, bundled.landmarks, "%.4f")
    arguments = [str(CARTOONS / "yuki.png"), "--landmarks", str(points), "--inner_lip"]
    assert main_gen_new_puppet.main([*arguments, "--out_dir", str(tmp_path)]) == 0
    created = read_puppet(tmp_path / "yuki.png")
    np.testing.assert_allclose(created.landmarks, bundled.landmarks)
    assert created.inner_lip
    assert created.triangles.shape == bundled.triangles.shape


@needs_weights
def test_cut_out_puppets_are_png(tmp_path):
    figure = read_image(CARTOONS / "count.png")
    alpha = figure[..., 3:] / 255
    flat = (figure[..., :3] * alpha + 240 * (1 - alpha)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "flat.bmp"), flat)
    points = str(CARTOONS / "count_face_open_mouth.txt")
    arguments = [str(tmp_path / "flat.bmp"), "--landmarks", points, "--cutout"]
    assert main_gen_new_puppet.main(arguments) == 0
    created = read_puppet(tmp_path / "flat.png")
    assert created.image.shape == (720, 672, 4)
    assert (created.image[:10, :10, 3] == 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody"], "nobody: no such puppet"),
        (["maestro", "--overwrite", "--landmarks", "none.pts"], "none.pts: no such landmarks"),
        (["maestro", "--cutout"], "--cutout would overwrite it"),
        (["maestro", "--edit", "--landmarks"], "expected one argument"),
        (["maestro", "--out_dir", __file__], "cannot be written"),
    ],
)
def test_bad_input_is_one_line(arguments, message, capsys):
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


def test_a_missing_face_and_a_busy_background_are_reported(tmp_path, capsys):
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
@pytest.mark.parametrize("name", ["puppets/wilk.png", "puppets/color.jpg"])
def test_an_uncertain_face_is_refused(name, tmp_path, capsys):
    arguments = [str(SHARED / name), "--out_dir", str(tmp_path / "out")]
    assert main_gen_new_puppet.main([*arguments, "--landmark_detector", "mediapipe"]) == 2
    error = capsys.readouterr().err
    assert "no face found with certainty: give the 68 points by --landmarks" in error
    assert not list(tmp_path.iterdir())


@needs_weights
def test_editing_starts_from_the_standard_face_where_none_is_found(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((120, 200, 3), 128, np.uint8))
    assert main_gen_new_puppet.main([str(tmp_path / "wall.png"), "--edit"]) == 2
    error = capsys.readouterr().err
    assert "wall.png: no face found; starting from the standard face" in error
    assert "there is no screen" in error


def test_an_existing_puppet_is_not_overwritten(tmp_path, capsys):
    given = str(CARTOONS / "clara_face_open_mouth.txt")
    arguments = [str(CARTOONS / "clara.png"), "--landmarks", given, "--out_dir", str(tmp_path)]
    assert main_gen_new_puppet.main(arguments) == 0
    points = tmp_path / "clara_face_open_mouth.txt"
    points.write_text("placed by hand")
    assert main_gen_new_puppet.main(arguments) == 2
    assert "clara_face_open_mouth.txt: exists; give --out_dir" in capsys.readouterr().err
    assert points.read_text() == "placed by hand"
    assert main_gen_new_puppet.main([*arguments, "--overwrite"]) == 0
    assert len(points.read_text().splitlines()) == 68


def test_inputs_and_other_images_are_not_overwritten(tmp_path, capsys):
    points = tmp_path / "count_face_open_mouth.txt"
    shutil.copy(CARTOONS / "count_face_open_mouth.txt", points)
    shutil.copy(CARTOONS / "count.png", tmp_path / "count.png")
    arguments = [str(tmp_path / "count.png"), "--landmarks", str(points)]
    assert main_gen_new_puppet.main([*arguments, "--overwrite"]) == 2
    assert "would be written over an input" in capsys.readouterr().err
    figure = cv2.imread(str(tmp_path / "count.png"))
    cv2.imwrite(str(tmp_path / "count.bmp"), figure)
    points.rename(tmp_path / "points.txt")
    before = (tmp_path / "count.png").read_bytes()
    arguments = [str(tmp_path / "count.bmp"), "--landmarks", str(tmp_path / "points.txt")]
    assert main_gen_new_puppet.main([*arguments, "--cutout"]) == 2
    assert "count.png: exists; give --out_dir" in capsys.readouterr().err
    assert (tmp_path / "count.png").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 3
