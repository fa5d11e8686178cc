"""Cartoon puppets on disk: a drawing, its landmarks, and the mesh that moves it.

A puppet NAME is the drawing (`NAME.png` with alpha, or any other picture) and beside it
`NAME_face_open_mouth.txt` (68 x 3, pixels of the drawing), `NAME_face_open_mouth_norm.txt` (the
same, normalised), `NAME_face_close_mouth.txt` (68 x 3, normalised, the still face that speech
moves), `NAME_scale_shift.txt` (from normalised to pixels), `NAME_delauney_tri.txt` (three vertices
a line) and, if there is one, a background `NAME_bg.*`. The published release's puppets are read as
they are.
"""

import dataclasses
import itertools
import logging
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.errors import InputError
from src.face.geometry import (
    CLOSING_LEADERS,
    CLOSING_SIDE,
    CLOSING_SIDE_POINTS,
    denormalise,
    inner_lip_gap,
    normalise,
)
from src.face.topology import (
    EYES,
    FACE_WITHOUT_LIPS,
    INNER_LIP_PAIRS,
    INNER_LIPS,
    LANDMARK_COUNT,
    OUTER_LIP_PAIRS,
    OUTER_LIPS,
)
from src.io.files import atomic_write
from src.settings import PICTURE_SUFFIXES

FAR = 5000
"""Pixels that outside points lie beyond the picture: so far that its edge goes with the head
(release)."""

OUTER_LIP_COUNT = OUTER_LIPS.stop - OUTER_LIPS.start
FULL_COUNTS = (12, 8)
"""How many outside points a puppet may have: the usual ones, or corners and edge middles."""

VERTEX_LAYOUTS = {
    LANDMARK_COUNT - left_out + outside: (left_out > 0, outside)
    for left_out in (0, OUTER_LIP_COUNT)
    for outside in FULL_COUNTS
}
"""Count of vertices to (without outer lips?, count of outside points): 80, 76, 68 and 64."""

MISPLACED = 0.1
"""Share of the jaw's width by which a closed face may lie off the drawing, but for the lips."""

MOUTH_LINE = 0.02
"""Share of the mouth's width that the outline of a mouth without lips is thick, at least."""

FRAME_CONTRAST = 20.0
FRAME_STANDS_OUT = 4.0
"""A line along a picture's edge is a frame where it differs from the next line by so many grey
levels, and by so many times as much as that one from its next."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpecialPuppet:
    """A published puppet without a scale file of its own."""

    outside: tuple[tuple[int, int], ...]  # pixels
    scale: float
    shift: tuple[float, float]


SPECIAL_PUPPETS = {
    "color": SpecialPuppet(
        ((0, 0), (0, 140), (0, 280), (249, 280), (499, 280), (499, 140), (499, 0), (249, 0)),
        -0.012986159189209149,
        (-237.27065, -79.2465),
    ),
    "sketch": SpecialPuppet(
        (
            (-10000, -10000),
            (-10000, 221),
            (-10000, 10443),
            (232, 10443),
            (10465, 10443),
            (10465, 221),
            (10465, -10000),
            (232, -10000),
        ),
        -0.006393177201290783,
        (-226.8411, -176.5216),
    ),
}
"""Numbers that stand in the release's code."""


@dataclass(frozen=True)
class Puppet:
    """A drawing ready to be animated."""

    name: str
    picture: np.ndarray  # uint8 (H, W, 3) BGR or (H, W, 4) BGRA
    landmarks: np.ndarray  # (68, 2) pixels of the drawing as it is
    closed_face: np.ndarray  # (68, 3) normalised, the mouth closed
    scale: float  # negative for an upright face, see geometry.denormalise
    shift: np.ndarray  # (2,) pixels
    triangles: np.ndarray  # (M, 3) indices of vertices, later ones on top
    outside: np.ndarray  # (8 or 12, 2) pixels, vertices that never move
    inner_lip: bool  # the outer lips are no vertices

    def vertices(self, landmarks: np.ndarray) -> np.ndarray:
        """Vertices (V, 2) of the mesh for landmarks (68, >=2) in pixels."""
        return mesh_vertices(landmarks, self.outside, self.inner_lip)


@dataclass(frozen=True)
class PuppetFiles:
    """The paths of a puppet, which need not exist."""

    picture: Path

    def _beside(self, ending: str) -> Path:
        return self.picture.with_name(self.picture.stem + ending)

    @property
    def open_mouth(self) -> Path:
        return self._beside("_face_open_mouth.txt")

    @property
    def open_mouth_normalised(self) -> Path:
        return self._beside("_face_open_mouth_norm.txt")

    @property
    def closed_mouth(self) -> Path:
        return self._beside("_face_close_mouth.txt")

    @property
    def scale_shift(self) -> Path:
        return self._beside("_scale_shift.txt")

    @property
    def triangles(self) -> Path:
        return self._beside("_delauney_tri.txt")

    def texts(self) -> tuple[Path, ...]:
        return (
            self.open_mouth,
            self.open_mouth_normalised,
            self.closed_mouth,
            self.scale_shift,
            self.triangles,
        )

    def background(self) -> Path | None:
        """The puppet's own background, where there is one; a .jpg before a .png."""
        for suffix in (".jpg", *PICTURE_SUFFIXES):
            path = self._beside("_bg" + suffix)
            if path.is_file():
                return path
        return None


def find_picture(name: str, examples: Path) -> Path:
    """A puppet's drawing by its name, with or without extension.

    Looked up as given, then in the examples' folder.

    Raises:
        InputError: it is in neither.
    """
    try:
        for base in (Path(name), examples / name):
            if name and base.is_file():
                return base
            for suffix in PICTURE_SUFFIXES if base.name else ():
                path = base.with_name(base.name + suffix)
                if path.is_file():
                    return path
    except OSError:  # a name that no file can have
        pass
    raise InputError(f"{name or repr(name)}: no such puppet, neither as given nor in {examples}")


def read_puppet(picture: Path, inner_lip: bool = False) -> Puppet:
    """Read a puppet's drawing and the files beside it.

    Args:
        picture: path of the drawing.
        inner_lip: what the user claims; the count of vertices decides, and a wrong claim is told.

    Raises:
        InputError: a file is missing or does not fit.
    """
    from src.io.image import read_picture

    files = PuppetFiles(picture)
    drawing = read_picture(picture)
    landmarks = read_numbers(files.open_mouth, 3, LANDMARK_COUNT)[:, :2]
    closed_face = read_numbers(files.closed_mouth, 3, LANDMARK_COUNT)
    triangles = read_triangles(files.triangles)
    without_outer, outside_count = VERTEX_LAYOUTS[triangles.max() + 1]
    if inner_lip and not without_outer:
        log.warning("%s: --inner_lip, but the outer lips are in it; they are used", files.triangles)
    special = SPECIAL_PUPPETS.get(picture.stem) if not files.scale_shift.exists() else None
    if special is not None:
        scale, shift = special.scale, np.array(special.shift)
    elif files.scale_shift.exists():
        numbers = read_numbers(files.scale_shift, 1, 3)[:, 0]
        scale, shift = float(numbers[0]), numbers[1:]
        if scale == 0:
            raise InputError(f"{files.scale_shift}: a scale of 0")
    else:
        log.warning("%s: absent, so scale and shift are those of the landmarks", files.scale_shift)
        scale, shift = scale_and_shift(landmarks, files.open_mouth)
    if special is not None and outside_count == len(special.outside):
        outside = np.array(special.outside, np.float64)
    else:
        outside = outside_points(drawing.shape[1], drawing.shape[0], outside_count)
    return Puppet(
        picture.stem,
        drawing,
        landmarks,
        closed_face,
        scale,
        shift,
        triangles,
        outside,
        without_outer,
    )


def read_background(path: Path, puppet: Puppet) -> np.ndarray:
    """A background (H, W, 3) uint8 BGR of the drawing's size.

    Raises:
        InputError: no picture, or of another size.
    """
    from src.io.image import flatten, read_picture

    background = flatten(read_picture(path))
    height, width = puppet.picture.shape[:2]
    if background.shape[:2] != (height, width):
        raise InputError(
            f"{path}: a background of {background.shape[1]} x {background.shape[0]} pixels, but "
            f"the puppet {puppet.name} has {width} x {height}"
        )
    return background


def new_puppet(
    name: str,
    picture: np.ndarray,
    landmarks: np.ndarray,
    standard_depth: np.ndarray,
    *,
    closed: np.ndarray | None = None,
    inner_lip: bool = False,
    as_released: bool = False,
) -> Puppet:
    """Make a puppet of a drawing and its landmarks.

    Args:
        name: of the puppet.
        picture: uint8 (H, W, 3 or 4).
        landmarks: (68, >=2) pixels of the drawing.
        standard_depth: (68,) depth of the standard face.
        closed: (68, >=2) pixels with the mouth closed, where they are known; else estimated.
        inner_lip: leave the outer lips out of the mesh, for mouths without drawn lips.
        as_released: close the mouth as the release does, which leaves wide mouths ajar.

    Raises:
        InputError: the landmarks do not make a face.
    """
    points = np.asarray(landmarks, np.float64)[:, :2]
    scale, shift = scale_and_shift(points, name)
    normalised = normalised_face(points, scale, shift, standard_depth)
    if closed is not None:
        closed_face = normalised_face(np.asarray(closed)[:, :2], scale, shift, standard_depth)
    elif as_released:
        closed_face = close_mouth_as_released(normalised)
    else:
        closed_face = shut_mouth(normalised)
    outside = outside_points(picture.shape[1], picture.shape[0])
    vertices = mesh_vertices(points, outside, inner_lip)
    triangles = triangulate(vertices, inner_lip, as_released=as_released)
    return Puppet(name, picture, points, closed_face, scale, shift, triangles, outside, inner_lip)


def write_puppet(puppet: Puppet, picture: Path) -> tuple[Path, ...]:
    """Write the text files of a puppet beside its drawing, whose file is not touched.

    Returns:
        The paths written.

    Raises:
        InputError: one cannot be written.
    """
    files = PuppetFiles(picture)
    in_pixels = np.column_stack([puppet.landmarks, np.ones(LANDMARK_COUNT)])
    normalised = normalised_face(
        puppet.landmarks, puppet.scale, puppet.shift, puppet.closed_face[:, 2]
    )
    contents = {
        files.open_mouth: (in_pixels, "%.4f"),
        files.open_mouth_normalised: (normalised, "%.4f"),
        files.closed_mouth: (puppet.closed_face, "%.4f"),
        files.scale_shift: (np.array([puppet.scale, *puppet.shift]), "%.10f"),
        files.triangles: (puppet.triangles, "%d"),
    }
    for path, (numbers, form) in contents.items():
        with atomic_write(path) as partial:
            np.savetxt(partial, numbers, form)
    return tuple(contents)


def read_numbers(path: Path, columns: int, rows: int | None = None) -> np.ndarray:
    """Finite numbers (rows, columns) from a text file, one row a line; commas may separate them.

    Raises:
        InputError: the file is missing, or holds something else.
    """
    table = []
    for number, line in enumerate(_read_lines(path), 1):
        words = line.replace(",", " ").split()
        if not words:
            continue
        try:
            values = [float(word) for word in words]
        except ValueError:
            raise InputError(
                f"{path}: line {number} is not {_count(columns)}: {line[:40]!r}"
            ) from None
        if len(values) != columns or not np.isfinite(values).all():
            raise InputError(f"{path}: line {number} is not {_count(columns)}: {line[:40]!r}")
        table.append(values)
    if rows is not None and len(table) != rows:
        raise InputError(f"{path}: {len(table)} lines of numbers, expected {rows}")
    return np.array(table, np.float64).reshape(-1, columns)


def read_triangles(path: Path) -> np.ndarray:
    """Triangles (M, 3) of one of the four vertex layouts.

    Raises:
        InputError: the file is missing, or its indices belong to none of the layouts.
    """
    numbers = read_numbers(path, 3)
    triangles = numbers.astype(np.int64)
    if len(triangles) == 0:
        raise InputError(f"{path}: no triangles in it")
    if (triangles != numbers).any():
        raise InputError(f"{path}: an index that is not a whole number")
    if triangles.min() < 0:
        raise InputError(f"{path}: a negative index, {triangles.min()}")
    most = triangles.max()
    if most + 1 not in VERTEX_LAYOUTS:
        counts = ", ".join(map(str, sorted(VERTEX_LAYOUTS)))
        raise InputError(f"{path}: index {most} is out of range, puppets have {counts} vertices")
    return triangles


def read_landmarks(path: Path) -> np.ndarray:
    """Landmarks (68, 2) in pixels from a .pts file, or from a text of 68 lines of x y (z).

    Raises:
        InputError: it is neither.
    """
    lines = _read_lines(path)
    if any(line.strip().startswith("n_points") for line in lines):
        text = "\n".join(lines)
        if "{" not in text or "}" not in text:
            raise InputError(f"{path}: a .pts file keeps its points between {{ and }}")
        lines = text[text.index("{") + 1 : text.index("}")].splitlines()
    table = []
    for line in filter(str.strip, lines):
        try:
            values = [float(word) for word in line.replace(",", " ").split()]
        except ValueError:
            values = []
        if len(values) not in (2, 3) or not np.isfinite(values).all():
            raise InputError(f"{path}: not a point x y in pixels: {line.strip()[:40]!r}")
        table.append(values[:2])
    if len(table) != LANDMARK_COUNT:
        raise InputError(f"{path}: {len(table)} points, expected {LANDMARK_COUNT}")
    return np.array(table, np.float64)


def read_standard_face(checkpoints: Path) -> np.ndarray:
    """The standard face (68, 3), normalised, whose depth serves drawings, which tell none.

    Args:
        checkpoints: the folder with the published files, or with the embedded weights.

    Raises:
        InputError: neither is there.
    """
    from src.io.checkpoint import read_checkpoint

    published = checkpoints / "STD_FACE_LANDMARKS.txt"
    if published.is_file():
        return read_numbers(published, 3, LANDMARK_COUNT)
    embedded = checkpoints / "embedded" / "constants.safetensors"
    tensors, _ = read_checkpoint(embedded)
    if "standard_face" not in tensors or tuple(tensors["standard_face"].shape) != (68, 3):
        raise InputError(f"{embedded}: no standard_face of shape (68, 3) in it")
    return tensors["standard_face"].double().numpy()


def scale_and_shift(landmarks: np.ndarray, name: object) -> tuple[float, np.ndarray]:
    """Scale and shift (2,) that normalise landmarks (68, >=2) in pixels; `name` is for messages.

    Raises:
        InputError: they cannot be normalised.
    """
    points = np.column_stack([np.asarray(landmarks)[:, :2], np.zeros(len(landmarks))])
    try:
        _, scale, shift = normalise(points, np.zeros(LANDMARK_COUNT))
    except ValueError as error:
        raise InputError(f"{name}: {error}") from None
    return scale, shift


def normalised_face(
    landmarks: np.ndarray, scale: float, shift: np.ndarray, depth: np.ndarray
) -> np.ndarray:
    """(68, 3) normalised from (68, 2) pixels; unlike a portrait's, its depth is given in full."""
    return np.column_stack([-(landmarks + shift) * scale, depth])


def close_mouth_as_released(normalised: np.ndarray) -> np.ndarray:
    """The release's guess of the closed mouth of (68, 3) landmarks; a new array.

    Each step goes on from what the one before it left, so a quarter of the gap stays.
    """
    face = np.array(normalised, np.float64)
    for upper, lower in OUTER_LIP_PAIRS:
        face[upper, 1] = 0.7 * face[upper, 1] + 0.3 * face[lower, 1]
        face[lower, 1] = 0.4 * face[upper, 1] + 0.6 * face[lower, 1]
    for upper, lower in INNER_LIP_PAIRS:
        face[upper, 1] = 0.5 * face[upper, 1] + 0.5 * face[lower, 1]
        face[lower, 1] = 0.5 * face[upper, 1] + 0.5 * face[lower, 1]
        face[upper, 0] = 0.6 * face[upper, 0] + 0.4 * face[lower, 0]
        face[lower, 0] = 0.6 * face[upper, 0] + 0.4 * face[lower, 0]
    return face


def shut_mouth(face: np.ndarray) -> np.ndarray:
    """The mouth of a face (68, >=2) shut until the inner lips touch; a new array.

    The inner lips meet midway, and the outer ones follow, so that lips keep their thickness.
    """
    shut = np.array(face, np.float64)
    moves = {}
    for upper, lower in INNER_LIP_PAIRS:
        half = 0.5 * (shut[lower, :2] - shut[upper, :2])
        moves[upper], moves[lower] = half, -half
    for point, leader in CLOSING_LEADERS.items():
        share = CLOSING_SIDE if point in CLOSING_SIDE_POINTS else 1.0
        moves[point] = share * moves[leader]
    for point, move in moves.items():
        shut[point, :2] += move
    return shut


def within_line(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks (68, 2) whose inner lips lie within the mouth's outline; a new array.

    Where a mouth without lips is marked along the outside of its outline, the line itself would be
    pressed to nothing as it shuts, together with what is drawn inside. The corners stay.
    """
    points = np.array(landmarks, np.float64)
    line = MOUTH_LINE * np.linalg.norm(points[54] - points[48])
    for upper, lower in INNER_LIP_PAIRS:
        gap = points[lower] - points[upper]
        step = gap * min(line / max(np.linalg.norm(gap), 1e-12), 0.25)
        points[upper] += step
        points[lower] -= step
    return points


def without_frame(picture: np.ndarray) -> np.ndarray:
    """A picture (H, W, C) without a frame one pixel wide, such as careless cropping leaves.

    A drawing that moves with the head shows what is beyond its edge, where the edge goes on: a line
    along it would become a bar.
    """
    picture = picture.copy()
    for turns in range(4):
        side = np.rot90(picture, turns)  # a view
        if len(side) < 3 or (side.shape[2] == 4 and (side[0, :, 3] < 255).any()):
            continue
        first, second, third = side[:3, :, :3].astype(np.float64)
        contrast = np.abs(first - second).mean()
        if contrast > max(FRAME_CONTRAST, FRAME_STANDS_OUT * np.abs(second - third).mean()):
            side[0] = side[1]
    return picture


def mended(puppet: Puppet) -> Puppet:
    """A puppet whose closed face lies on its drawing and is shut, and whose drawing has no frame.

    The release's closed mouths stay ajar by a quarter of what was drawn, and the closed face of one
    of its puppets (roy) is from another drawing, so that its mesh folds at the ears. Its mouths
    without lips are marked along the outside of their line, see `within_line`.
    """
    at_rest = denormalise(puppet.closed_face, puppet.scale, puppet.shift)[:, :2]
    off = np.linalg.norm(at_rest - puppet.landmarks, axis=1)[FACE_WITHOUT_LIPS].max()
    width = np.linalg.norm(puppet.landmarks[16] - puppet.landmarks[0])
    scale, shift, face = puppet.scale, puppet.shift, puppet.closed_face
    if off > MISPLACED * width:
        log.warning(
            "%s: its closed face lies %.0f pixels off the drawing, so it is made anew",
            puppet.name,
            off,
        )
        scale, shift = scale_and_shift(puppet.landmarks, puppet.name)
        face = normalised_face(puppet.landmarks, scale, shift, face[:, 2])
    landmarks = puppet.landmarks
    ajar = inner_lip_gap(face) > MOUTH_LINE * np.linalg.norm(face[54, :2] - face[48, :2])
    if puppet.inner_lip and ajar:
        landmarks = within_line(landmarks)
    return dataclasses.replace(
        puppet,
        picture=without_frame(puppet.picture),
        landmarks=landmarks,
        closed_face=shut_mouth(face),
        scale=scale,
        shift=shift,
    )


def outside_points(width: int, height: int, count: int = 12) -> np.ndarray:
    """The vertices outside a picture, in the release's order: (count, 2) pixels.

    12 lie far away; 8 are the corners and the middles of the edges, which then stay in place.
    """
    w, h, far = width - 1, height - 1, FAR
    if count == 8:
        points = [
            (0, 0),
            (0, h // 2),
            (0, h),
            (w // 2, h),
            (w, h),
            (w, h // 2),
            (w, 0),
            (w // 2, 0),
        ]
    elif count == 12:
        points = [
            (-far, -far),
            (-far, h // 4),
            (-far, h // 2),
            (-far, 3 * h // 4),
            (-far, far + h),
            (w // 2, far + h),
            (far + w, far + h),
            (far + w, h // 2),
            (far + w, -far),
            (w // 4, -far),
            (w // 2, -far),
            (3 * w // 4, -far),
        ]
    else:
        raise ValueError(f"{count} outside points")
    return np.array(points, np.float64)


def mesh_vertices(landmarks: np.ndarray, outside: np.ndarray, inner_lip: bool) -> np.ndarray:
    """Vertices (V, 2) of landmarks (68, >=2) and outside points; `inner_lip`: no outer lips."""
    points = np.asarray(landmarks, np.float64)[:, :2]
    if inner_lip:
        points = np.delete(points, OUTER_LIPS, axis=0)
    return np.concatenate([points, outside])


def triangulate(vertices: np.ndarray, inner_lip: bool, *, as_released: bool = False) -> np.ndarray:
    """Delaunay triangles (M, 3) of a mesh, in which lips and eyes have whole outlines.

    A mouth shuts along its outline; where a triangle reaches across it, teeth would be seen between
    closed lips. Those inside the mouth come first, and what is drawn later lies on top: where lips
    overlap as they close, the inside is hidden.

    Args:
        vertices: (V, 2) pixels, from `mesh_vertices`.
        inner_lip: the outer lips are not in them.
        as_released: plain Delaunay.
    """
    from scipy.spatial import Delaunay

    triangles = Delaunay(vertices).simplices.astype(np.int64)
    if as_released:
        return triangles
    left_out = OUTER_LIP_COUNT if inner_lip else 0
    loops = [*EYES] + ([] if inner_lip else [OUTER_LIPS])
    loops.append(slice(INNER_LIPS.start - left_out, INNER_LIPS.stop - left_out))
    edges = []
    for loop in loops:
        points = range(loop.start, loop.stop)
        edges += list(zip(points, [*points[1:], points[0]], strict=True))
    triangles = with_edges(vertices, triangles, edges)
    mouth = loops[-1]
    inside = ((triangles >= mouth.start) & (triangles < mouth.stop)).all(axis=1)
    return np.concatenate([triangles[inside], triangles[~inside]])


def with_edges(
    vertices: np.ndarray, triangles: np.ndarray, edges: list[tuple[int, int]]
) -> np.ndarray:
    """A triangulation (M, 3) that has these edges, by flipping those that cross them (Sloan 1993).

    An edge that cannot be had, because it runs through another vertex or crosses an earlier one of
    the edges, is left out.
    """

    def side(a: int, b: int, c: int) -> float:
        u, v = vertices[b] - vertices[a], vertices[c] - vertices[a]
        return float(u[0] * v[1] - u[1] * v[0])

    def cross(a: int, b: int, c: int, d: int) -> bool:
        if len({a, b, c, d}) < 4:
            return False
        return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0

    def owners(edge: frozenset[int]) -> list[int]:
        return [number for number, face in enumerate(faces) if edge <= face]

    faces = [frozenset(map(int, triangle)) for triangle in triangles]
    wanted = {frozenset(edge) for edge in edges}
    for a, b in edges:
        drawn = {frozenset(pair) for face in faces for pair in itertools.combinations(face, 2)}
        crossing = deque(edge for edge in drawn - wanted if cross(a, b, *edge))
        for _ in range(len(crossing) ** 2 + 1):
            if not crossing:
                break
            edge = crossing.popleft()
            first, second = owners(edge)
            (e,), (f,) = faces[first] - edge, faces[second] - edge
            if not cross(*edge, e, f):  # only in a convex quadrangle can the diagonals change
                crossing.append(edge)
                continue
            c, d = edge
            faces[first], faces[second] = frozenset((e, f, c)), frozenset((e, f, d))
            if cross(a, b, e, f):
                crossing.append(frozenset((e, f)))
    return np.array([sorted(face) for face in faces], np.int64)


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file (main_gen_new_puppet.py makes them)") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file") from None


def _count(columns: int) -> str:
    return "one number" if columns == 1 else f"{columns} numbers"
