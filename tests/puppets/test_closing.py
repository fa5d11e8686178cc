"""Mouths close and keep their lips; puppets whose files do not fit are repaired."""

import cv2
import numpy as np
import pytest

from src.face.topology import INNER_LIP_PAIRS, INNER_LIPS
from src.puppets import create, released
from src.puppets.closing import close_lips, repaired, without_frame
from src.puppets.files import read_puppet, write_puppet
from tests.puppets.sample import DEPTH, HEIGHT, WIDTH, open_face, waves


def test_a_closed_mouth_keeps_its_lips():
    face = np.column_stack([open_face(), DEPTH])
    closed = close_lips(face)
    for upper, lower in INNER_LIP_PAIRS:
        np.testing.assert_allclose(closed[upper, :2], closed[lower, :2])
    assert closed[62, 1] - closed[51, 1] == pytest.approx(face[62, 1] - face[51, 1])
    assert closed[57, 1] - closed[66, 1] == pytest.approx(face[57, 1] - face[66, 1])
    np.testing.assert_array_equal(np.delete(closed, range(48, 68), 0), face[:48])
    np.testing.assert_array_equal(closed[:, 2], DEPTH)
    np.testing.assert_allclose(close_lips(closed), closed)


def test_a_mouth_without_lips_closes_to_its_outline(tmp_path):
    """A black outline, marked along its outside as the release does, round a white inside."""
    face = open_face()
    image = np.full((HEIGHT, WIDTH, 3), (90, 160, 200), np.uint8)
    mouth = face[INNER_LIPS]
    for ring, colour in ((mouth, (0, 0, 0)), (0.75 * mouth + 0.25 * mouth.mean(0), (255,) * 3)):
        cv2.fillPoly(image, [np.round(16 * ring).astype(np.int32)], colour, shift=4)
    path = tmp_path / "line.png"
    cv2.imwrite(str(path), image)
    puppet = released.new_puppet("line", image, face, DEPTH, inner_lip=True)
    write_puppet(puppet, path)
    read = read_puppet(path)
    fixed = repaired(read)
    assert np.abs(fixed.landmarks - read.landmarks)[[60, 64]].max() == 0
    closed = fixed.closed_landmarks
    for upper, lower in INNER_LIP_PAIRS:
        np.testing.assert_allclose(closed[upper], closed[lower], atol=1e-6)
    x, y = np.round(closed[62]).astype(int)
    column = fixed.renderer().render(closed)[y - 8 : y + 9, x - 4 : x + 5].max(-1)
    assert (column.min(0) < 60).all()  # the line is there
    assert column.max() < 215  # and nothing of the white inside
    # A mouth that closes already was marked on purpose.
    closed = create.new_puppet("line", image, face, DEPTH, inner_lip=True)
    np.testing.assert_array_equal(repaired(closed).landmarks, face)


def test_a_closed_face_of_another_image_is_recomputed(clown, caplog):
    puppet = read_puppet(clown)
    assert repaired(puppet).scale == puppet.scale
    assert not caplog.records
    clown.with_name("clown_scale_shift.txt").write_text("-0.012\n-80\n-90\n")
    puppet = repaired(read_puppet(clown))
    assert "lies 23 pixels off the image" in caplog.text
    back = puppet.closed_landmarks[:48]
    np.testing.assert_allclose(back, puppet.landmarks[:48], atol=1e-3)


def test_a_frame_left_by_cropping_is_removed():
    plain = waves(alpha=False)
    framed = plain.copy()
    framed[0], framed[:, -1] = 10, 10
    frameless = without_frame(framed)
    assert np.abs(frameless.astype(int) - plain).max() < 20
    assert (framed[0] == 10).all()
    np.testing.assert_array_equal(without_frame(plain), plain)
    np.testing.assert_array_equal(without_frame(waves()), waves())
