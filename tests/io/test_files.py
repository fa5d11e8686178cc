"""Files are written whole or not at all; damaged or hostile ones end in one InputError line."""

import re

import numpy as np
import pytest

from src.errors import InputError
from src.io.files import (
    atomic_write,
    check_writable,
    read_array,
    read_arrays,
    read_numbers,
    read_text,
    write_arrays,
    write_text,
)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("file/video.mp4", "Not a directory"),
        ("folder.mp4", "a folder of that name"),
        ("x" * 300 + ".mp4", "too long"),
    ],
)
def test_unwritable_places_are_found_early(tmp_path, name, reason):
    (tmp_path / "file").touch()
    (tmp_path / "folder.mp4").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=re.compile(reason, re.IGNORECASE)) as caught:
        check_writable(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_writable_place_is_left_as_it_was(tmp_path):
    check_writable(tmp_path / "new" / "folder" / "video.mp4")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_line_and_other_errors_stay(tmp_path):
    import resource

    path = tmp_path / "new" / "a.npy"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(InputError, match=r"a\.npy: cannot be written") as raised:
        try:
            with atomic_write(path) as partial, partial.open("wb") as file:
                resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
                np.save(file, np.zeros(100_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(raised.value)
    with pytest.raises(FileNotFoundError), atomic_write(path):
        (tmp_path / "another").read_bytes()
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]
    assert read_text(path) == "old"


def test_arrays_come_back(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.ones((3, 2)))
    for mmap in (False, True):
        np.testing.assert_array_equal(read_array(path, (None, 2), mmap=mmap), np.ones((3, 2)))
    write_arrays(tmp_path / "a.npz", x=np.arange(3), name=np.array("somebody"))
    assert sorted(read_arrays(tmp_path / "a.npz")) == ["name", "x"]
    assert list(read_arrays(tmp_path / "a.npz", ["x"])) == ["x"]
    with pytest.raises(InputError, match=r"a\.npz: lacks the arrays y, z$"):
        read_arrays(tmp_path / "a.npz", ["x", "y", "z"])
    with pytest.raises(InputError, match="several arrays"):
        read_array(tmp_path / "a.npz")
    with pytest.raises(InputError, match="not a NumPy file"):
        read_arrays(path)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((3, 4)), r"points of shape \(3, 4\), expected \(any, 3\)"),
        (np.zeros(3), r"points of shape \(3,\)"),
        (np.full((1, 3), "a"), "points of type <U1, expected numbers"),
        (np.full((1, 3), np.nan), "points with values that are not finite"),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, reason):
    path = tmp_path / "a.npy"
    np.save(path, array)
    with pytest.raises(InputError, match=reason):
        read_array(path, (None, 3), name="points")


def test_damaged_and_hostile_arrays_end_in_one_line(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros(9))
    good = path.read_bytes()
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (9,)"
    unclosed = good[:10] + header.ljust(117) + b"\n" + good[128:]
    huge = good.replace(b"(9,), }         ", b"(9999999999999,)}")
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    pickled = path.read_bytes()
    for content in (b"", b"words", good[:100], good[:150], unclosed, huge, pickled, bytes(500)):
        path.write_bytes(content)
        for reader in (read_array, read_arrays):
            with pytest.raises(InputError, match=r"a\.npy: not a NumPy file") as caught:
                reader(path)
            assert "\n" not in str(caught.value)
    for reader in (read_array, read_arrays, read_text):
        with pytest.raises(InputError, match="cannot be read: No such file"):
            reader(tmp_path / "absent")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a text file"):
        read_text(path)


def test_numbers_are_read_from_texts_of_several_layouts(tmp_path):
    path = tmp_path / "a.txt"
    for text in ("1 2\n3,4\n5, 6e0", "version: 1\nn_points: 3\n{\n1 2\n3 4\n5 6\n}\n"):
        path.write_text(text)
        np.testing.assert_array_equal(read_numbers(path, (4, 2), (-1, 2)), [[1, 2], [3, 4], [5, 6]])
    with pytest.raises(InputError, match=r"6 numbers, expected the shape \(4, 2\) or \(5,\)"):
        read_numbers(path, (4, 2), (5,))
    for text, problem in (("1 x", "not a text of numbers"), ("1 inf", "not finite")):
        path.write_text(text)
        with pytest.raises(InputError, match=problem):
            read_numbers(path, (2,))
