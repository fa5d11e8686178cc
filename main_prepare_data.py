"""Turn clips and recordings into the dumps that the trainings read.

    python main_prepare_data.py --root_dir ROOT --step voices --speech DIR
    python main_prepare_data.py --root_dir ROOT --step clips --videos DIR [DIR ...]
    python main_prepare_data.py --root_dir ROOT --step synthetic --synthetic rms=20 espeak=40
    python main_prepare_data.py --root_dir ROOT --step faces
    python main_prepare_data.py --root_dir ROOT --step analyse
    python main_prepare_data.py --root_dir ROOT --step content --load_AUTOVC_name CHECKPOINT
    python main_prepare_data.py --root_dir ROOT --step speaker --load_AUTOVC_name CHECKPOINT

Steps clips and analyse keep what an earlier run has finished; the others begin anew. Steps content
and speaker need the AutoVC checkpoint of main_train_voice_conversion.py; --dump_file_name gives
their dumps another name, which the trainings take under the same option.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from src.command_line import OneLineParser, between, run_command
from src.errors import InputError
from src.training.options import numbers_by_name

STEPS = ("voices", "clips", "synthetic", "faces", "analyse", "content", "speaker")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--root_dir", type=Path, required=True, help="folder that gets clips/, dump/ and so on")
    add("--step", choices=STEPS, required=True, help="what to do")
    add("--speech", type=Path, nargs="*", default=[], help="folders of recordings (voices)")
    add("--videos", type=Path, nargs="*", default=[], help="folders of clips (clips)")
    add("--synthetic", nargs="*", default=[], help="voice=minutes; flite's names or espeak")
    add("--text", type=Path, help="file of sentences spoken first, one a line")
    add("--load_AUTOVC_name", type=Path, help="AutoVC checkpoint; without it plain log-mel is kept")
    add("--target_voice", default="LJ", help="speaker that all voices become (%(default)s)")
    add("--dump_file_name", help="start of the dumps' names (autovc_retrain_mel, speaker_aware)")
    add(
        "--changed_copies",
        type=between(0, 100, int),
        default=1,
        help="copies in changed voices (%(default)s)",
    )
    add("--val", nargs="*", default=[], help="speakers and voices for validation only")
    add("--test", nargs="*", default=[], help="speakers and voices kept out of everything")
    add("--processes", type=between(1, 1000, int), default=2, help="(%(default)s)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    return run_command(run, parse(arguments))


def run(options: argparse.Namespace) -> None:
    from src.training import clips, prepare

    root = options.root_dir
    for folder in (*options.speech, *options.videos):
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
    held_out = prepare.HeldOut(frozenset(options.val), frozenset(options.test))
    if options.step == "voices":
        prepare.analyse_voices(options.speech, root, options.processes)
    elif options.step == "clips":
        sources = [source for folder in options.videos for source in clips.find_clips(folder)]
        if not sources:
            where = " ".join(map(str, options.videos)) or "none given"
            raise InputError(f"--videos {where}: no videos to track")
        prepare.track_clips(sources, root, options.processes)
    elif options.step == "synthetic":
        minutes = numbers_by_name("--synthetic", options.synthetic)
        if not minutes:
            raise InputError("--synthetic: name voices and their minutes, such as rms=20")
        prepare.speak_all(minutes, sentences_of(options.text) if options.text else [], root)
    elif options.step == "faces":
        prepare.measure_faces(root, held_out)
    elif options.step == "analyse":
        prepare.analyse_passages(root, options.processes)
    else:
        convert = prepare.converter(root, options.load_AUTOVC_name, options.target_voice)
        posed = options.step == "speaker"
        name = options.dump_file_name or ("speaker_aware" if posed else "autovc_retrain_mel")
        prepare.write_dumps(root, name, posed, convert, options.changed_copies, held_out)


def sentences_of(path: Path) -> list[str]:
    """The lines of a text that are not blank.

    Raises:
        InputError: it cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(f"{path}: cannot be read: {reason}") from None
    return [line for line in lines if line.strip()]


if __name__ == "__main__":
    sys.exit(main())
