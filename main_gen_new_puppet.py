"""Create a puppet from a drawing, for main_end2end_cartoon.py to animate.

    python main_gen_new_puppet.py drawing.png
    python main_gen_new_puppet.py drawing.jpg --cutout --out_dir examples_cartoon
    python main_gen_new_puppet.py monster.png --landmarks monster.pts
    python main_gen_new_puppet.py monster.png --edit

Finds the 68 landmarks of the face (or reads them, or lets you drag them), closes the mouth,
triangulates, and writes the puppet's five text files beside the image, with a sheet of previews,
NAME_preview.png: landmarks, closed mouth, triangles, wide-open mouth. Draw the mouth open, with
everything that is to be seen inside it.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from src.command_line import OneLineParser, find_input, run_command
from src.errors import InputError
from src.face import detectors
from src.jobs import check_outputs

ROOT = Path(__file__).resolve().parent
EXAMPLES_CARTOON = ROOT / "examples_cartoon"

log = logging.getLogger("src.main_gen_new_puppet")


def main(arguments: list[str] | None = None) -> int:
    parser = OneLineParser(description=__doc__)
    add = parser.add_argument
    add("image", metavar="IMAGE", help="any drawing; looked up in examples_cartoon/, too")
    add("--landmarks", metavar="FILE", help="68 points: a .pts file or 68 lines of x y in pixels")
    add("--out_dir", type=Path, metavar="FOLDER", help="folder of the puppet (beside the image)")
    add("--overwrite", action="store_true", help="replace the files of an existing puppet")
    add("--inner_lip", action="store_true", help="for mouths without lips: leave outer lips out")
    add("--cutout", action="store_true", help="cut the figure out of a plain background")
    add("--edit", action="store_true", help="drag the points in a window before they are used")
    add("--as_released", action="store_true", help="close the mouth and triangulate as the release")
    add(
        "--landmark_detector",
        choices=detectors.CHOICES,
        default="auto",
        help="fan downloads its weights on first use; auto: fan where they are (%(default)s)",
    )
    return run_command(run, parser.parse_args(arguments))


def run(options: argparse.Namespace) -> None:
    import cv2
    import numpy as np

    from src.face.portrait import check_landmarks
    from src.io.image import IMAGE_SUFFIXES, read_image
    from src.models.loading import load_standard_face
    from src.models.registry import CHECKPOINTS
    from src.puppets import create, files, released
    from src.puppets.cutout import cut_out
    from src.puppets.editor import edited
    from src.puppets.preview import preview_sheet

    source = find_input(options.image, EXAMPLES_CARTOON, "puppet", ("", *IMAGE_SUFFIXES))
    given = options.landmarks
    given = None if given is None else find_input(given, ROOT, "landmarks")
    # Not every format can keep the alpha channel of a cut-out.
    target = (options.out_dir or source.parent) / source.name
    target = target.with_suffix(".png") if options.cutout else target
    is_source = target.resolve() == source.resolve()
    if options.cutout and is_source:
        raise InputError(f"{source}: --cutout would overwrite it; give --out_dir another folder")
    preview = files.puppet_file(target, files.PREVIEW)
    outputs = [*(files.puppet_file(target, ending) for ending in files.ENDINGS), preview]
    outputs += [] if is_source else [target]
    check_outputs([source, given], outputs)
    for path in outputs:
        if path.exists() and not options.overwrite:
            raise InputError(f"{path}: exists; give --out_dir another folder, or --overwrite")

    image = read_image(source)
    standard_face = load_standard_face(CHECKPOINTS)
    if given:
        landmarks = files.read_landmarks(given)
    else:
        log.info("finding the face in %s", source)
        try:
            landmarks = create.detect_puppet_landmarks(
                image, options.landmark_detector, str(source), options.inner_lip
            )
        except InputError as error:
            if not options.edit:
                raise InputError(
                    f"{error}: give the 68 points by --landmarks FILE (.pts, or 68 lines of x y), "
                    "or drag them by --edit"
                ) from None
            log.warning("%s; starting from the standard face", error)
            landmarks = create.initial_face(image, standard_face)
    if options.edit:
        landmarks = edited(image, landmarks)
    points = np.column_stack([landmarks, standard_face[:, 2]])
    check_landmarks(points, given or source, image)
    contents = {} if is_source else {target: source.read_bytes()}
    if options.cutout:
        image = cut_out(image, str(source))
        contents[target] = cv2.imencode(".png", image)[1].tobytes()
    method = released if options.as_released else create
    puppet = method.new_puppet(
        target.stem, image, landmarks, standard_face[:, 2], inner_lip=options.inner_lip
    )
    contents[preview] = cv2.imencode(".png", preview_sheet(puppet))[1].tobytes()
    files.write_puppet(puppet, target, contents)
    log.info("wrote the puppet's files beside %s; see %s", target, preview)


if __name__ == "__main__":
    sys.exit(main())
