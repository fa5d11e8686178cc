"""Make a puppet of a drawing, for main_end2end_cartoon.py to animate.

    python main_gen_new_puppet.py drawing.png
    python main_gen_new_puppet.py drawing.jpg --cutout --out_dir examples_cartoon
    python main_gen_new_puppet.py monster.png --landmarks monster.pts
    python main_gen_new_puppet.py monster.png --edit

Finds the 68 landmarks of the face (or reads them, or lets you drag them), closes the mouth, makes
the triangles, and writes the puppet's five text files beside the drawing, with a sheet of previews,
NAME_preview.png: landmarks, closed mouth, triangles, mouth wide open. Draw the mouth open, with
what is to be seen inside it.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from src.command_line import OneLineParser, find_input, run_command
from src.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from src.puppets.puppet import Puppet

ROOT = Path(__file__).resolve().parent
EXAMPLES_CARTOON = ROOT / "examples_cartoon"
CHECKPOINTS = ROOT / "examples" / "ckpt"

WIDE_OPEN = 1.6  # how far the last preview goes from the closed to the drawn mouth and beyond
LEAST_OPENING = 0.3  # of the mouth's width: what the last preview opens a mouth that was drawn shut
PLAIN_FACE = 0.5  # of the picture's shorter side: how wide the face is that --edit may begin with
DRAWN_SHUT = 0.05  # of the mouth's width: less of an opening shows no inside

log = logging.getLogger("src.main_gen_new_puppet")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("picture", metavar="PICTURE", help="any drawing; looked up in examples_cartoon/, too")
    add("--landmarks", metavar="FILE", help="68 points: a .pts file or 68 lines of x y in pixels")
    add("--out_dir", metavar="FOLDER", help="where the puppet goes (beside the picture)")
    add("--overwrite", action="store_true", help="replace the files of a puppet that is there")
    add("--inner_lip", action="store_true", help="for mouths without lips: leave outer lips out")
    add("--cutout", action="store_true", help="cut the drawing out of a plain background")
    add("--edit", action="store_true", help="drag the points in a window before they are used")
    add("--as_released", action="store_true", help="close the mouth, and triangles, as the release")
    add(
        "--landmark_detector",
        choices=("auto", "mediapipe", "fan"),
        default="auto",
        help="fan downloads its weights on first use; auto: fan where they are (%(default)s)",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    return run_command(run, parse(arguments))


def run(options: argparse.Namespace) -> None:
    import cv2

    from src.face.contours import fit_inner_lips
    from src.io.files import atomic_write, check_writable
    from src.io.image import read_picture
    from src.puppets.puppet import (
        PuppetFiles,
        find_picture,
        new_puppet,
        read_landmarks,
        read_standard_face,
        within_line,
        write_puppet,
    )

    source = find_picture(options.picture, EXAMPLES_CARTOON)
    given = None if options.landmarks is None else find_input(options.landmarks, ROOT, "landmarks")
    folder = source.parent if options.out_dir is None else Path(options.out_dir)
    # What is cut out has alpha, which not every format can keep.
    name = f"{source.stem}.png" if options.cutout else source.name
    target = folder / name
    if options.cutout and target.resolve() == source.resolve():
        raise InputError(f"{source}: --cutout would write over it; give --out_dir another folder")
    files = PuppetFiles(target)
    preview = target.with_name(f"{target.stem}_preview.png")
    for path in (*files.texts(), preview):
        if given is not None and path.resolve() == given.resolve():
            raise InputError(f"{given}: would be written over; give --out_dir another folder")
        if path.exists() and not options.overwrite:
            raise InputError(
                f"{path}: there is such a puppet already; "
                "give --out_dir another folder, or --overwrite"
            )
        check_writable(path)

    picture = read_picture(source)
    standard = read_standard_face(CHECKPOINTS)
    if given is not None:
        landmarks = read_landmarks(given)
    else:
        try:
            landmarks = find_landmarks(picture, options.landmark_detector, source)
            if options.inner_lip:
                landmarks = within_line(fit_inner_lips(picture, landmarks))
        except InputError as problem:
            if not options.edit:
                raise
            log.warning("%s; a plain face to begin with", str(problem).partition(": give")[0])
            landmarks = plain_face(picture, standard)
    if options.edit:
        landmarks = edited(picture, landmarks)
    check_inside(landmarks, picture, given or source)
    opening = landmarks[66, 1] - landmarks[62, 1]
    if opening < DRAWN_SHUT * abs(landmarks[54, 0] - landmarks[48, 0]):
        log.warning("%s: the mouth is drawn shut, so there is nothing to see inside it", source)
    if options.cutout:
        from src.puppets.cutout import cut_out

        picture = cut_out(picture, str(source))
    puppet = new_puppet(
        target.stem,
        picture,
        landmarks,
        standard[:, 2],
        inner_lip=options.inner_lip,
        as_released=options.as_released,
    )
    sheet = preview_sheet(puppet)
    if options.cutout:
        with atomic_write(target) as partial:
            cv2.imwrite(str(partial), picture)
    elif target.resolve() != source.resolve():
        with atomic_write(target) as partial:
            partial.write_bytes(source.read_bytes())
    write_puppet(puppet, target)
    with atomic_write(preview) as partial:
        cv2.imwrite(str(partial), sheet)
    log.info("wrote the puppet's files beside %s; see %s", target, preview)


def find_landmarks(picture: np.ndarray, detector: str, source: Path) -> np.ndarray:
    """Landmarks (68, 2) of the drawn face, whatever is behind it.

    Raises:
        InputError: no face is found, with a word on what to do then.
    """
    from src.face.drawings import detect_drawn_face

    log.info("finding the face in %s", source)
    try:
        return detect_drawn_face(picture, detector, str(source))
    except InputError as problem:
        raise InputError(
            f"{problem}: give the 68 points by --landmarks FILE (.pts, or 68 lines of x y), "
            "or drag them by --edit"
        ) from None


def plain_face(picture: np.ndarray, standard: np.ndarray) -> np.ndarray:
    """The standard face in the middle of a picture: (68, 2) pixels, for `--edit` to begin with."""
    import numpy as np

    height, width = picture.shape[:2]
    middle = np.array([width - 1, height - 1]) / 2
    face = standard[:, :2] - (standard[:, :2].min(0) + standard[:, :2].max(0)) / 2
    return middle + face * (PLAIN_FACE * min(width, height) / np.ptp(face[:, 0]))


def check_inside(landmarks: np.ndarray, picture: np.ndarray, name: Path) -> None:
    """InputError where a good part of the landmarks is not in the picture."""
    height, width = picture.shape[:2]
    inside = ((landmarks >= 0) & (landmarks < (width, height))).all(axis=1).sum()
    if inside < len(landmarks) // 2:
        raise InputError(
            f"{name}: only {inside} of 68 points lie in the picture of {width} x {height}"
        )


def preview_sheet(puppet: Puppet) -> np.ndarray:
    """[landmarks | closed mouth] over [triangles | mouth wide open], uint8 BGR (2H, 2W, 3)."""
    import cv2
    import numpy as np

    from src.face.geometry import denormalise
    from src.puppets.renderer import puppet_renderer

    renderer = puppet_renderer(puppet)
    drawn = puppet.landmarks
    closed = denormalise(puppet.closed_face, puppet.scale, puppet.shift)[:, :2]
    height, width = puppet.picture.shape[:2]
    thick = max(1, round(max(height, width) / 500))

    points = faded(renderer.render(drawn))
    for number, (x, y) in enumerate(drawn):
        place = (round(x), round(y))
        colour = (40, 40, 220) if number < 48 else (200, 80, 20)
        cv2.circle(points, place, 2 * thick, colour, -1, cv2.LINE_AA)
        text = (place[0] + 2 * thick, place[1] - 2 * thick)
        cv2.putText(points, str(number), text, 0, 0.3 * thick, colour, 1, cv2.LINE_AA)

    mesh = faded(renderer.render(drawn))
    corners = puppet.vertices(drawn)[puppet.triangles]
    cv2.polylines(
        mesh,
        list(np.round(np.clip(corners, -20000, 20000) * 16).astype(np.int32)),
        True,
        (150, 90, 20),
        thick,
        cv2.LINE_AA,
        4,
    )
    top = np.hstack([points, renderer.render(closed)])
    return np.vstack([top, np.hstack([mesh, renderer.render(wide_open(drawn, closed))])])


def wide_open(drawn: np.ndarray, closed: np.ndarray) -> np.ndarray:
    """Landmarks (68, 2) with the mouth further open than drawn, the chin lower."""
    import numpy as np

    opened = closed + WIDE_OPEN * (drawn - closed)
    width = np.linalg.norm(drawn[54] - drawn[48])
    gap = opened[66, 1] - opened[62, 1]
    lacking = max(0.0, LEAST_OPENING * width - gap)
    share = 1 - np.abs(opened[48:, 0] - opened[[48, 54], 0].mean()) / (0.5 * width)
    lower = np.isin(np.arange(48, 68), [55, 56, 57, 58, 59, 65, 66, 67])
    opened[48:, 1] += lacking * np.sqrt(np.clip(share, 0, 1)) * lower
    chin = 0.5 * max(0.0, opened[66, 1] - drawn[66, 1])
    opened[5:12, 1] += chin * np.sin(np.linspace(0.3, np.pi - 0.3, 7))
    return opened


def faded(picture: np.ndarray) -> np.ndarray:
    import cv2
    import numpy as np

    return cv2.addWeighted(picture, 0.5, np.full_like(picture, 255), 0.5, 0)


def edited(picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Landmarks (68, 2) after the user has dragged them in a window.

    Raises:
        InputError: there is no screen to open a window on.
    """
    import cv2

    from src.io.image import flatten

    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        raise InputError("--edit: there is no screen to open a window on")
    shown = flatten(picture)
    points = landmarks.copy()
    grabbed: list[int] = []
    title = "drag the points; Enter: done, Esc: as before"

    def on_mouse(event: int, x: int, y: int, _flags: int, _data: object) -> None:
        if event == cv2.EVENT_LBUTTONDOWN:
            grabbed[:] = [int(((points - (x, y)) ** 2).sum(1).argmin())]
        elif event == cv2.EVENT_LBUTTONUP:
            grabbed.clear()
        elif event == cv2.EVENT_MOUSEMOVE and grabbed:
            points[grabbed[0]] = x, y

    try:
        cv2.namedWindow(title, cv2.WINDOW_AUTOSIZE)
        cv2.setMouseCallback(title, on_mouse)
        while True:
            frame = shown.copy()
            for number, (x, y) in enumerate(points):
                colour = (40, 40, 220) if number < 48 else (200, 80, 20)
                cv2.circle(frame, (round(x), round(y)), 3, colour, -1, cv2.LINE_AA)
            cv2.imshow(title, frame)
            key = cv2.waitKey(20)
            closed = cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) < 1
            if key in (10, 13) or closed:
                return points
            if key == 27:
                return landmarks
    except cv2.error as problem:
        raise InputError(f"--edit: no window can be opened: {problem.err}") from None
    finally:
        cv2.destroyAllWindows()


if __name__ == "__main__":
    sys.exit(main())
