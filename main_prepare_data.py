"""Turn clips and recordings into the dumps that the trainings read.

    python main_prepare_data.py --root_dir ROOT --step voices --speech DIR
    python main_prepare_data.py --root_dir ROOT --step clips --videos DIR [DIR ...]
    python main_prepare_data.py --root_dir ROOT --step synthetic --synthetic rms=20 espeak=40
    python main_prepare_data.py --root_dir ROOT --step faces
    python main_prepare_data.py --root_dir ROOT --step content --load_AUTOVC_name CHECKPOINT
    python main_prepare_data.py --root_dir ROOT --step speaker --load_AUTOVC_name CHECKPOINT

Every step keeps what an earlier run of it has finished. Steps content and speaker need the AutoVC
checkpoint of main_train_voice_conversion.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from src.command_line import OneLineParser, run_command
from src.errors import InputError

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
    add("--changed_copies", type=int, default=1, help="copies in changed voices (%(default)s)")
    add("--val", nargs="*", default=[], help="speakers and voices for validation only")
    add("--test", nargs="*", default=[], help="speakers and voices kept out of everything")
    add("--processes", type=int, default=2, help="(%(default)s)")
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
        prepare.track_clips(sources, root, options.processes)
    elif options.step == "synthetic":
        texts = options.text.read_text().splitlines() if options.text else []
        prepare.speak_all(minutes_of(options.synthetic), texts, root)
    elif options.step == "faces":
        prepare.measure_faces(root, held_out)
    elif options.step == "analyse":
        prepare.analyse_passages(root, options.processes)
    else:
        convert = prepare.converter(root, options.load_AUTOVC_name, options.target_voice)
        posed = options.step == "speaker"
        name = options.dump_file_name or ("speaker_aware" if posed else "autovc_retrain_mel")
        prepare.write_dumps(root, name, posed, convert, options.changed_copies, held_out)


def minutes_of(pairs: list[str]) -> dict[str, float]:
    """``["rms=20"]`` as a dict; InputError where that is not what it says."""
    try:
        return {name: float(value) for name, value in (pair.split("=") for pair in pairs)}
    except ValueError:
        raise InputError(f"--synthetic: expected voice=minutes, not {' '.join(pairs)}") from None


if __name__ == "__main__":
    sys.exit(main())
