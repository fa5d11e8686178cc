"""Puppets on disk, in the file format of the published release.

A puppet NAME is the image (`NAME.png` with alpha, or any other image) and beside it
`NAME_face_open_mouth.txt` (68 x 3, pixels of the image), `NAME_face_open_mouth_norm.txt` (the same,
normalised), `NAME_face_close_mouth.txt` (68 x 3, normalised, the closed face that speech moves),
`NAME_scale_shift.txt` (from normalised to pixels), `NAME_delauney_tri.txt` (three vertices a line)
and, optionally, a background `NAME_bg.*`. The release's puppets are read as they are.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
from pathlib import Path

import numpy as np

from src.errors import InputError
from src.face.topology import LANDMARK_COUNT
from src.io.files import atomic_write, read_text
from src.io.image import IMAGE_SUFFIXES
from src.puppets.mesh import VERTEX_LAYOUTS, outside_points
from src.puppets.puppet import Puppet, normalised_face

OPEN_MOUTH = "_face_open_mouth.txt"
OPEN_MOUTH_NORMALISED = "_face_open_mouth_norm.txt"
CLOSED_MOUTH = "_face_close_mouth.txt"
SCALE_SHIFT = "_scale_shift.txt"
TRIANGLES = "_delauney_tri.txt"
ENDINGS = (OPEN_MOUTH, OPEN_MOUTH_NORMALISED, CLOSED_MOUTH, SCALE_SHIFT, TRIANGLES)
"""Endings of a puppet's text files, after the stem of its image."""

BACKGROUND_SUFFIXES = (".jpg", *IMAGE_SUFFIXES)
"""Of `NAME_bg` files, in order of preference."""

SPECIAL_PUPPETS = {
    "color": (-0.012986159189209149, (-237.27065, -79.2465), 0),
    "sketch": (-0.006393177201290783, (-226.8411, -176.5216), 10000),
}
"""Scale, shift in pixels and margin of `outside_points` for the release's puppets that have no
scale file (from the release's code)."""

log = logging.getLogger(__name__)


def puppet_file(image: Path, ending: str) -> Path:
    """The path of a puppet's file by its image and the file's ending."""
    return image.with_name(image.stem + ending)


def find_background(image: Path) -> Path | None:
    """The puppet's own background, if it has one."""
    paths = (puppet_file(image, "_bg" + suffix) for suffix in BACKGROUND_SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def find_image(name: str, examples: Path) -> Path:
    """A puppet's image by its name, with or without suffix, as given or in the examples' folder.

    Raises:
        InputError: there is none.
    """
    for base in (Path(name), examples / name):
        for suffix in ("", *IMAGE_SUFFIXES):
            if name and os.path.isfile(f"{base}{suffix}"):  # False for names no file can have
                return Path(f"{base}{suffix}")
    raise InputError(f"{name or repr(name)}: no such puppet, neither as given nor in {examples}")


def read_puppet(path: Path, inner_lip: bool = False) -> Puppet:
    """Read a puppet's image and the files beside it.

    Args:
        path: the image.
        inner_lip: expect a mesh without outer lips. The number of vertices decides; if the outer
            lips are in the mesh, a warning is logged.

    Raises:
        InputError: a file is missing or does not fit.
    """
    from src.io.image import read_image

    image = read_image(path)
    height, width = image.shape[:2]
    landmarks = read_table(puppet_file(path, OPEN_MOUTH), 3, LANDMARK_COUNT)[:, :2]
    closed_face = read_table(puppet_file(path, CLOSED_MOUTH), 3, LANDMARK_COUNT)
    triangles = read_triangles(puppet_file(path, TRIANGLES))
    without_outer_lips, count = VERTEX_LAYOUTS[triangles.max() + 1]
    if inner_lip and not without_outer_lips:
        log.warning("%s: has the outer lips, --inner_lip is ignored", puppet_file(path, TRIANGLES))
    scale_file, margin = puppet_file(path, SCALE_SHIFT), None
    if scale_file.exists():
        scale, *shift = read_table(scale_file, 1, 3)[:, 0]
        if scale == 0:
            raise InputError(f"{scale_file}: a scale of 0")
    elif path.stem in SPECIAL_PUPPETS:
        scale, shift, margin = SPECIAL_PUPPETS[path.stem]
    else:
        log.warning("%s: absent, scale and shift are computed from the landmarks", scale_file)
        _, scale, shift = normalised_face(
            landmarks, closed_face[:, 2], puppet_file(path, OPEN_MOUTH)
        )
    return Puppet(
        path.stem,
        image,
        landmarks,
        closed_face,
        float(scale),
        np.array(shift),
        triangles,
        outside_points(width, height, count, margin if count == 8 else None),
        without_outer_lips,
    )


def read_background(path: Path, puppet: Puppet) -> np.ndarray:
    """Read a background of the size of a puppet's image: uint8 BGR (H, W, 3).

    Raises:
        InputError: not an image, or of another size.
    """
    from src.io.image import flatten, read_image

    background = flatten(read_image(path))
    height, width = puppet.image.shape[:2]
    if background.shape[:2] != (height, width):
        raise InputError(
            f"{path}: a background of {background.shape[1]} x {background.shape[0]} pixels, but "
            f"the puppet {puppet.name} has {width} x {height}"
        )
    return background


def write_puppet(puppet: Puppet, path: Path, others: dict[Path, bytes] | None = None) -> None:
    """Write the text files of a puppet beside its image, whose file is not touched.

    Args:
        puppet: the puppet.
        path: its image.
        others: contents of more files. All files are written, or none is.

    Raises:
        InputError: a file cannot be written.
    """
    tables = {
        OPEN_MOUTH: (np.column_stack([puppet.landmarks, np.ones(LANDMARK_COUNT)]), "%.4f"),
        OPEN_MOUTH_NORMALISED: (puppet.open_face, "%.4f"),
        CLOSED_MOUTH: (puppet.closed_face, "%.4f"),
        SCALE_SHIFT: (np.array([puppet.scale, *puppet.shift]), "%.10f"),
        TRIANGLES: (puppet.triangles, "%d"),
    }
    contents = dict(others or {})
    for ending, (table, number_format) in tables.items():
        text = io.BytesIO()
        np.savetxt(text, table, number_format)
        contents[puppet_file(path, ending)] = text.getvalue()
    with contextlib.ExitStack() as stack:
        for target, content in contents.items():
            stack.enter_context(atomic_write(target)).write_bytes(content)


def read_triangles(path: Path) -> np.ndarray:
    """Read triangles (M, 3) of one of the `VERTEX_LAYOUTS`.

    Raises:
        InputError: the file is missing, or its indices belong to none of the layouts.
    """
    table = read_table(path, 3)
    triangles = table.astype(np.int64)
    if (triangles != table).any() or table.min() < 0 or triangles.max() + 1 not in VERTEX_LAYOUTS:
        counts = ", ".join(map(str, sorted(VERTEX_LAYOUTS)))
        raise InputError(
            f"{path}: indices from {table.min():g} to {table.max():g}, expected whole numbers "
            f"from 0 to the last of {counts} vertices"
        )
    return triangles


def read_landmarks(path: Path) -> np.ndarray:
    """Read landmarks (68, 2) in pixels from a .pts file, or a text of 68 lines of x y (z).

    Raises:
        InputError: it is neither.
    """
    text = read_text(path)
    if "n_points" in text:
        text = text.partition("{")[2].partition("}")[0]
    first_line = next(filter(str.strip, text.splitlines()), "")
    columns = 3 if len(first_line.replace(",", " ").split()) == 3 else 2
    return _parse_table(text, path, columns, LANDMARK_COUNT)[:, :2]


def read_table(path: Path, columns: int, rows: int | None = None) -> np.ndarray:
    """Read finite numbers (rows, columns) from a text file, separated by spaces or commas.

    Raises:
        InputError: the file is missing, or holds something else.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file (main_gen_new_puppet.py creates puppets)")
    return _parse_table(read_text(path), path, columns, rows)


def _parse_table(text: str, path: Path, columns: int, rows: int | None) -> np.ndarray:
    table = []
    for line in filter(str.strip, text.splitlines()):
        try:
            table.append([float(word) for word in line.replace(",", " ").split()])
        except ValueError:
            table.append([])
        if len(table[-1]) != columns or not np.isfinite(table[-1]).all():
            number = f"{columns} numbers" if columns > 1 else "one number"
            raise InputError(f"{path}: row {len(table)} is not {number}: {line.strip()[:40]!r}")
    if not table or len(table) != (rows or len(table)):
        raise InputError(f"{path}: {len(table)} lines of numbers, expected {rows or 'some'}")
    return np.array(table)
