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
from pathlib import Path

import numpy as np

from src.errors import InputError
from src.face.portrait import check_landmarks
from src.io.files import atomic_write, read_numbers
from src.io.image import IMAGE_SUFFIXES, flatten, read_image
from src.models.dimensions import LANDMARK_COUNT
from src.puppets.mesh import VERTEX_LAYOUTS, outside_points
from src.puppets.puppet import Puppet
from src.render.mesh import MAX_TRIANGLES

OPEN_MOUTH = "_face_open_mouth.txt"
OPEN_MOUTH_NORMALISED = "_face_open_mouth_norm.txt"
CLOSED_MOUTH = "_face_close_mouth.txt"
SCALE_SHIFT = "_scale_shift.txt"
TRIANGLES = "_delauney_tri.txt"
ENDINGS = (OPEN_MOUTH, OPEN_MOUTH_NORMALISED, CLOSED_MOUTH, SCALE_SHIFT, TRIANGLES)
"""Endings of a puppet's text files, after the stem of its image."""
PREVIEW = "_preview.png"

SPECIAL_PUPPETS = {
    "color": (-0.012986159189209149, (-237.27065, -79.2465), 0),
    "sketch": (-0.006393177201290783, (-226.8411, -176.5216), 10000),
}
"""Scale, shift in pixels and margin of `outside_points` for the release's puppets that have no
scale file (from the release's code)."""


def puppet_file(image: Path, ending: str) -> Path:
    """The path of a puppet's file by its image and the file's ending."""
    return image.with_name(image.stem + ending)


def find_background(image: Path) -> Path | None:
    """The puppet's own background, if it has one."""
    paths = (puppet_file(image, "_bg" + suffix) for suffix in (".jpg", *IMAGE_SUFFIXES))
    return next((path for path in paths if path.is_file()), None)


def read_puppet(path: Path) -> Puppet:
    """Read a puppet's image and the files beside it.

    Raises:
        InputError: a file is missing or does not fit.
    """
    image = read_image(path)
    height, width = image.shape[:2]
    if not puppet_file(path, OPEN_MOUTH).is_file():
        raise InputError(
            f"{puppet_file(path, OPEN_MOUTH)}: no such file (main_gen_new_puppet.py creates it)"
        )
    landmarks, closed_face = (
        read_numbers(puppet_file(path, ending), (LANDMARK_COUNT, 3))
        for ending in (OPEN_MOUTH, CLOSED_MOUTH)
    )
    check_landmarks(landmarks, puppet_file(path, OPEN_MOUTH), image)
    triangles = read_triangles(puppet_file(path, TRIANGLES))
    inner_lip, count = VERTEX_LAYOUTS[triangles.max() + 1]
    scale_file, margin = puppet_file(path, SCALE_SHIFT), None
    if path.stem in SPECIAL_PUPPETS and not scale_file.exists():
        scale, shift, margin = SPECIAL_PUPPETS[path.stem]
    else:
        scale, *shift = read_numbers(scale_file, (3,))
    if scale == 0:
        raise InputError(f"{scale_file}: a scale of 0")
    return Puppet(
        path.stem,
        image,
        landmarks[:, :2],
        closed_face,
        float(scale),
        np.array(shift),
        triangles,
        outside_points(width, height, count, margin),
        inner_lip,
    )


def read_background(path: Path, puppet: Puppet) -> np.ndarray:
    """Read a background of the size of a puppet's image: uint8 BGR (H, W, 3).

    Raises:
        InputError: not an image, or of another size.
    """
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
        InputError: the file is missing, its indices belong to none of the layouts, or there are
            more triangles than `MeshRenderer` takes.
    """
    table = read_numbers(path, (-1, 3))
    triangles = table.astype(np.int64)
    valid = (triangles == table).all() and table.min(initial=0) >= 0
    if not valid or triangles.max(initial=-1) + 1 not in VERTEX_LAYOUTS:
        counts = ", ".join(map(str, sorted(VERTEX_LAYOUTS)))
        raise InputError(f"{path}: not indices from 0 to the last of {counts} vertices")
    if len(triangles) > MAX_TRIANGLES:
        raise InputError(f"{path}: {len(triangles)} triangles, expected {MAX_TRIANGLES} at most")
    return triangles


def read_landmarks(path: Path) -> np.ndarray:
    """Read landmarks (68, 2) in pixels from a .pts file, or a text of 68 lines of x y (z).

    Raises:
        InputError: it is neither.
    """
    return read_numbers(path, (LANDMARK_COUNT, 2), (LANDMARK_COUNT, 3))[:, :2]
