"""Atomic writing of files, and safe reading of arrays and text."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from src.errors import InputError

NOT_NUMPY = "not a NumPy file of plain arrays, or damaged"


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well.

    If the block raises, the temporary file is removed, and so are the folders created for it.

        with atomic_write(path) as partial, partial.open("wb") as file:
            file.write(data)

    Raises:
        InputError: nothing can be written there, or the disk is full.
    """
    path = Path(path)
    partial = path.parent / f".{path.name[:40]}.{secrets.token_hex(6)}.partial{path.suffix}"
    created: list[Path] = []
    try:
        for folder in reversed(path.parents):
            if not folder.exists():
                folder.mkdir(exist_ok=True)
                created.append(folder)
        if path.is_dir():
            raise IsADirectoryError(0, "a folder of that name exists")
        partial.touch(exist_ok=False)
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        for folder in reversed(created):
            with contextlib.suppress(OSError):  # another process may use it by now
                folder.rmdir()
        # Errors of other files in the block carry their names, those of a full disk carry none.
        own = [None, *map(str, (path, partial, *path.parents))]
        if isinstance(error, OSError) and error.filename in own:
            reason = error.strerror or error
            raise InputError(f"{path}: cannot be written: {reason}") from None
        raise


def check_writable(path: str | Path) -> None:
    """Check before hours of work that a file can be written; leaves nothing behind.

    Raises:
        InputError: it cannot; the message gives the reason.
    """

    class Abandon(Exception):
        pass

    with contextlib.suppress(Abandon), atomic_write(path):
        raise Abandon


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 file; errors as for `atomic_write`."""
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_arrays(path: str | Path, **arrays: np.ndarray) -> None:
    """Write an .npz file; errors as for `atomic_write`."""
    with atomic_write(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)


def first_bytes(path: str | Path) -> bytes:
    """The first four bytes of a file, or fewer.

    Raises:
        InputError: absent, unreadable or empty.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(4)
    except OSError as error:
        raise _unreadable(path, error) from None
    if not start:
        raise InputError(f"{path}: the file is empty")
    return start


def read_text(path: str | Path) -> str:
    """Read a UTF-8 file, with or without a byte order mark.

    Raises:
        InputError: absent, unreadable or not text.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise _unreadable(path, error, "not a text file in UTF-8") from None


def read_numbers(path: str | Path, *shapes: tuple[int, ...]) -> np.ndarray:
    """Read finite numbers from a text file, separated by white space or commas.

    Args:
        path: the file. Of a .pts file, the numbers between the braces are read.
        shapes: allowed shapes, of which the first that fits is given to the array; -1 for a
            dimension of any length.

    Returns:
        float64 array of one of the shapes.

    Raises:
        InputError: absent, not numbers, or another count of them.
    """
    text = read_text(path)
    if "{" in text:
        text = text.partition("{")[2].partition("}")[0]
    try:
        numbers = np.array(text.replace(",", " ").split(), np.float64)
    except ValueError as error:
        raise InputError(f"{path}: not a text of numbers: {error}") from None
    check_array(numbers, path, name="numbers")
    for shape in shapes:
        with contextlib.suppress(ValueError):
            return numbers.reshape(shape)
    expected = " or ".join(map(str, shapes))
    raise InputError(f"{path}: {len(numbers)} numbers, expected the shape {expected}")


def read_array(
    path: str | Path,
    shape: tuple[int | None, ...] | None = None,
    *,
    name: str = "array",
    mmap: bool = False,
) -> np.ndarray:
    """Read an .npy file.

    Args:
        path: the file. Pickled objects in it are refused.
        shape: expected shape, None for a dimension of any length; no check where None.
        name: noun for the array in messages, such as "landmarks".
        mmap: map the file into memory instead of reading it, so its values are not checked.

    Raises:
        InputError: absent, damaged, or not such an array.
    """
    try:
        array = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
    except Exception as error:  # damaged bytes can raise anything
        raise _unreadable(path, error, NOT_NUMPY) from None
    if not isinstance(array, np.ndarray):
        array.close()
        raise InputError(f"{path}: holds several arrays, not one (.npy)")
    check_array(array, path, shape, name=name, finite=not mmap)
    return np.asarray(array)


def read_arrays(path: str | Path, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """Read arrays of an .npz file.

    Args:
        path: the file. Pickled objects in it are refused.
        names: which arrays; all of them where None.

    Raises:
        InputError: absent, damaged, or one of the arrays is not in it.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            wanted = data.files if names is None else list(names)
            missing = [name for name in wanted if name not in data]
            if not missing:
                return {name: data[name] for name in wanted}
    except Exception as error:  # damaged bytes can raise anything
        raise _unreadable(path, error, NOT_NUMPY) from None
    raise InputError(f"{path}: lacks the arrays {', '.join(missing)}")


def check_array(
    array: np.ndarray,
    path: str | Path,
    shape: tuple[int | None, ...] | None = None,
    *,
    name: str = "array",
    finite: bool = True,
) -> None:
    """Check an array of numbers that came from a file; other arguments as for `read_array`.

    Args:
        finite: refuse NaN and infinity.

    Raises:
        InputError: another shape or type, or values that are not finite.
    """
    if shape is not None:
        fits = array.ndim == len(shape) and all(
            wanted in (None, length) for length, wanted in zip(array.shape, shape, strict=True)
        )
        if not fits:
            expected = str(shape).replace("None", "any")
            raise InputError(f"{path}: {name} of shape {array.shape}, expected {expected}")
    if array.dtype.kind not in "fiu":
        raise InputError(f"{path}: {name} of type {array.dtype}, expected numbers")
    if finite and not np.isfinite(array).all():
        raise InputError(f"{path}: {name} with values that are not finite")


def _unreadable(path: str | Path, error: Exception, otherwise: str = "") -> InputError:
    reason = f"cannot be read: {error.strerror}" if getattr(error, "strerror", "") else otherwise
    return InputError(f"{path}: {reason}")
