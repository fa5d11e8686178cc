"""Puppet files: the release's are read as they are, our own are read back as written."""

import cv2
import numpy as np
import pytest

from src.errors import InputError
from src.face.topology import INNER_LIP_PAIRS
from src.puppets.files import (
    find_background,
    read_background,
    read_landmarks,
    read_puppet,
)
from src.puppets.mesh import outside_points
from tests.puppets.sample import (
    DEPTH,
    EXAMPLES,
    OFFICIAL,
    SHARED,
    needs_shared,
    open_face,
    puppet_on_disk,
)


@needs_shared
@pytest.mark.parametrize(("name", "inner_lip", "outside"), OFFICIAL)
def test_the_official_puppets_are_read(name, inner_lip, outside, caplog):
    puppet = read_puppet(SHARED / name)
    assert not caplog.records
    assert (puppet.inner_lip, len(puppet.outside)) == (inner_lip, outside)
    assert puppet.vertices(puppet.landmarks).shape == (puppet.triangles.max() + 1, 2)
    if name != "roy.png":  # the release placed this one by hand
        back = puppet.closed_landmarks[:48]
        assert np.abs(back - puppet.landmarks[:48]).max() < 0.02


@needs_shared
def test_the_special_puppets_have_the_numbers_of_the_release():
    color, sketch = (read_puppet(SHARED / n) for n in ("color.jpg", "sketch.png"))
    assert color.outside.tolist() == outside_points(500, 281, 8).tolist()
    assert color.scale == -0.012986159189209149
    assert sketch.outside[5].tolist() == [10465, 221]
    assert sketch.shift.tolist() == [-226.8411, -176.5216]


@pytest.mark.parametrize("inner_lip", [False, True])
def test_a_written_puppet_is_read_back(tmp_path, inner_lip):
    path = puppet_on_disk(tmp_path, inner_lip=inner_lip)
    puppet = read_puppet(path)
    assert puppet.inner_lip == inner_lip
    assert len(puppet.vertices(puppet.landmarks)) == (68 if inner_lip else 80)
    np.testing.assert_allclose(puppet.landmarks, open_face(), atol=1e-4)
    assert puppet.scale == pytest.approx(1.6 / -100)
    np.testing.assert_allclose(puppet.shift, (-80, -90))
    np.testing.assert_allclose(puppet.closed_face[:, 2], DEPTH, atol=1e-4)
    assert len(puppet.triangles) == (122 if inner_lip else 146)


@pytest.mark.parametrize(
    ("ending", "text", "message"),
    [
        ("_face_open_mouth.txt", None, "no such file"),
        ("_face_open_mouth.txt", "1 2 1\n" * 67, r"201 numbers, expected the shape \(68, 3\)"),
        ("_face_open_mouth.txt", "1 2 1\n" * 67 + "1 x 1\n", "not a text of numbers: .* 'x'"),
        ("_face_open_mouth.txt", "10 20 1\n" * 68, "nearly the same x"),
        ("_face_open_mouth.txt", "1000 2 1\n" * 68, "only 0 of 68 landmarks lie in the image"),
        ("_face_close_mouth.txt", "1 nan 1\n" * 68, "numbers with values that are not finite"),
        ("_face_close_mouth.txt", "1 2\n" * 68, r"136 numbers, expected the shape \(68, 3\)"),
        ("_scale_shift.txt", None, "cannot be read: No such file"),
        ("_scale_shift.txt", "-0.01\n4\n", r"2 numbers, expected the shape \(3,\)"),
        ("_scale_shift.txt", "0\n4\n4\n", "a scale of 0"),
        ("_delauney_tri.txt", "", "not indices from 0 to the last of 64, 68, 76, 80 vertices"),
        ("_delauney_tri.txt", "1 2 80\n", "not indices from 0"),
        ("_delauney_tri.txt", "1 2 79\n1 2 -1\n", "not indices from 0"),
        ("_delauney_tri.txt", "1 2.5 79\n", "not indices from 0"),
        ("_delauney_tri.txt", "1 2 79 3\n", "4 numbers, expected the shape"),
    ],
)
def test_a_problem_in_a_file_is_reported(clown, ending, text, message):
    path = clown.with_name("clown" + ending)
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(InputError, match=message) as problem:
        read_puppet(clown)
    assert str(path) in str(problem.value)
    assert "\n" not in str(problem.value)


def test_a_background_of_another_size_is_refused(clown):
    path = clown.with_name("clown_bg.jpg")
    cv2.imwrite(str(path), np.zeros((50, 60, 3), np.uint8))
    assert find_background(clown) == path
    with pytest.raises(InputError, match="60 x 50 pixels, but the puppet clown has 160 x 200"):
        read_background(path, read_puppet(clown))


def test_landmarks_come_from_pts_and_text(tmp_path):
    face = open_face()
    lines = [f"{x:.3f} {y:.3f}" for x, y in face]
    pts, text = tmp_path / "a.pts", tmp_path / "b.txt"
    pts.write_text("\n".join(["version: 1", "n_points: 68", "{", *lines, "}"]))
    text.write_text("\n".join(f"{line} 1.0" for line in lines))
    for path in (pts, text):
        np.testing.assert_allclose(read_landmarks(path), face, atol=1e-3)
    text.write_text("\n".join(lines[:-1]))
    with pytest.raises(InputError, match="134 numbers, expected the shape"):
        read_landmarks(text)
    text.write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(InputError, match="not a text file"):
        read_landmarks(text)


@pytest.mark.parametrize("name", ["maestro", "captain", "clara", "yuki", "leo", "count"])
def test_the_bundled_puppets_are_complete(name, caplog):
    path = EXAMPLES / f"{name}.png"
    puppet = read_puppet(path)
    background = read_background(find_background(path), puppet)
    assert not caplog.records
    assert puppet.image.shape[2] == 4
    alpha = puppet.image[..., 3]
    assert 0.3 < (alpha > 0).mean() < 0.8
    frames = puppet.renderer(background)
    frame = frames.render(puppet.landmarks)
    assert (frame[alpha == 0] == background[alpha == 0]).all()
    # The closed face of the file is in the same place, and closed.
    closed = puppet.closed_landmarks
    width = np.ptp(puppet.landmarks[:17, 0])
    assert np.abs(closed - puppet.landmarks)[:48].max() < 0.05 * width
    gaps = [closed[lower] - closed[upper] for upper, lower in INNER_LIP_PAIRS]
    assert np.abs(gaps).max() < 0.05
    # The dark inside of the open mouth is gone when the mouth is closed.
    y, x = puppet.landmarks[60:68].mean(0)[::-1].round().astype(int)
    closed = frames.render(closed)
    assert np.abs(closed[y, x].astype(int) - frame[y, x]).max() > 40
