"""Turn videos and recordings into the dumps that the trainings read.

    python main_prepare_data.py --root_dir ROOT --videos DIR [DIR ...]

does everything for folders of videos of one talking face each. Every clip: 25 frames a second and
16 kHz, the 68 landmarks of every frame, short gaps filled, the offset of picture and sound by the
lips, the spectrum, pitch and embedding of the voice. Then all together: a split by speaker, faces
smoothed, registered and resampled to 62.5 frames a second, the voice converted by AutoVC, and the
dumps of the content branch (autovc_retrain_mel_*) and of the speaker-aware branch (speaker_aware_*
with ..._gaze.pickle). ROOT/clips.csv has a row for every clip with its offset and what is wrong
with it, if it is left out; ROOT/splits.json who is held out.

Speakers are those of DIR/manifest.csv (columns file, speaker, and if known speech_synced); without
one, the folders below DIR, or the beginnings of the files' names up to the first - or _.

A clip that is finished is kept, so an interrupted run goes on when it is started again. --shard I/N
does the clips of part I of N only (I from 1), for the job array of a cluster; when all parts are
done, a run without --shard joins them.

The single steps, for all but the simplest data:

    python main_prepare_data.py --root_dir ROOT --step voices --speech DIR
    python main_prepare_data.py --root_dir ROOT --step clips --videos DIR [DIR ...]
    python main_prepare_data.py --root_dir ROOT --step offsets
    python main_prepare_data.py --root_dir ROOT --step synthetic --synthetic rms=20 espeak=40
    python main_prepare_data.py --root_dir ROOT --step faces
    python main_prepare_data.py --root_dir ROOT --step analyse
    python main_prepare_data.py --root_dir ROOT --step content --load_AUTOVC_name CHECKPOINT
    python main_prepare_data.py --root_dir ROOT --step speaker --load_AUTOVC_name CHECKPOINT
    python main_prepare_data.py --root_dir ROOT --step pictures --videos DIR --stills DIR

Step voices makes what main_train_voice_conversion.py reads. Step offsets measures what step clips
takes from the manifest. Step pictures packs the faces of tracked clips, and still faces, for
main_train_image_translation.py. Without --load_AUTOVC_name, the AutoVC of main_end2end.py converts.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from src.command_line import OneLineParser, run_command
from src.errors import InputError
from src.face import detectors
from src.options import between
from src.training.options import numbers_by_name

if TYPE_CHECKING:
    from src.data.landmark_dumps import Converter
    from src.data.splits import HeldOut

CHECKPOINTS = Path(__file__).resolve().parent / "examples" / "ckpt"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    count = between(1, 1000, int)
    add = parser.add_argument
    add("--root_dir", type=Path, required=True, help="folder that gets clips/, dump/ and so on")
    add("--step", choices=STEPS, default="all", help="what to do (%(default)s)")
    add("--videos", type=Path, nargs="*", default=[], help="folders of clips")
    add("--speech", type=Path, nargs="*", default=[], help="folders of recordings (voices)")
    add("--stills", type=Path, nargs="*", default=[], help="folders of still faces (pictures)")
    add("--synthetic", nargs="*", default=[], help="voice=minutes; flite's names or espeak")
    add("--text", type=Path, help="file of sentences spoken first, one a line")
    add("--val", nargs="*", default=[], help="speakers and voices for validation only")
    add("--test", nargs="*", default=[], help="speakers and voices kept out of everything")
    add(
        "--landmark_detector",
        choices=detectors.CHOICES,
        default="mediapipe",
        help="fan downloads its weights on first use; auto: fan where they are (%(default)s)",
    )
    add("--load_AUTOVC_name", type=Path, help="AutoVC of a training with --step voices")
    add("--plain_mel", action="store_true", help="keep the log-mel of each voice, no AutoVC")
    add("--target_voice", default="LJ", help="speaker that all voices become, then (%(default)s)")
    add("--dump_file_name", help="start of the dump's name (content and speaker)")
    add(
        "--changed_copies",
        type=between(0, 100, int),
        default=1,
        help="copies of the content branch's clips in changed voices (%(default)s)",
    )
    jobs = "processes (%(default)s: one a core)"
    add("--jobs", "--processes", type=count, default=os.cpu_count() or 1, help=jobs)
    add("--shard", type=shard, default=(1, 1), metavar="I/N", help="see above")
    return parser.parse_args(arguments)


def shard(text: str) -> tuple[int, int]:
    """``2/8`` as numbers."""
    part, slash, parts = text.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N with I from 1 to N")
    return int(part), int(parts)


def main(arguments: list[str] | None = None) -> int:
    return run_command(run, parse(arguments))


def run(options: argparse.Namespace) -> None:
    for folder in (*options.speech, *options.videos, *options.stills):
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
    if options.shard != (1, 1) and options.step not in CLIP_STEPS:
        raise InputError(f"--shard: step {options.step} is done for all clips together")
    STEPS[options.step](options)


def do_everything(options: argparse.Namespace) -> None:
    from src.data import clip_stages, passages

    joins = options.shard == (1, 1)
    convert = converter_of(options) if joins else None  # what is wrong with it, is said at once
    do_clips(options, clip_stages.CLIP_STAGES)
    if not joins:
        return
    held_out = held_out_of(options)
    clip_stages.write_report(options.root_dir, held_out)
    passages.measure_faces(options.root_dir, held_out)
    do_analyse(options)
    do_dump(options, convert, posed=False)
    do_dump(options, convert, posed=True)
    do_pictures(options)


def do_voices(options: argparse.Namespace) -> None:
    from src.data import analysis

    analysis.analyse_voices(options.speech, options.root_dir, options.jobs)


def do_clips(options: argparse.Namespace, stages: tuple[str, ...]) -> None:
    from src.data import clip_stages

    sources = sources_of(options)
    if not sources and "track" in stages:
        where = " ".join(map(str, options.videos)) or "none given"
        raise InputError(f"--videos {where}: no videos to track")
    clip_stages.work_on_clips(
        sources,
        options.root_dir,
        stages,
        options.jobs,
        detector=detectors.candidates(options.landmark_detector)[0],
        weights=CHECKPOINTS,
        shard=options.shard,
    )


def do_offsets(options: argparse.Namespace) -> None:
    from src.data import clip_stages

    do_clips(options, ("offset",))
    if options.shard == (1, 1):
        clip_stages.write_report(options.root_dir, held_out_of(options))


def do_synthetic(options: argparse.Namespace) -> None:
    from src.data import speech

    minutes = numbers_by_name("--synthetic", options.synthetic)
    if not minutes:
        raise InputError("--synthetic: name voices and their minutes, such as rms=20")
    texts = sentences_of(options.text) if options.text else []
    speech.speak_all(minutes, texts, options.root_dir)


def do_faces(options: argparse.Namespace) -> None:
    from src.data import passages

    passages.measure_faces(options.root_dir, held_out_of(options))


def do_analyse(options: argparse.Namespace) -> None:
    from src.data import analysis, clip_stages

    analysis.analyse_synthetic(options.root_dir, options.jobs)
    clip_stages.work_on_clips([], options.root_dir, ("analyse",), options.jobs)


def do_dump(options: argparse.Namespace, convert: Converter | None, posed: bool) -> None:
    """The dump of the content branch, or with head motion that of the speaker-aware branch."""
    from src.data import landmark_dumps

    named = options.dump_file_name if options.step != "all" else None
    landmark_dumps.write_dumps(
        options.root_dir,
        named or ("speaker_aware" if posed else "autovc_retrain_mel"),
        posed,
        convert,
        0 if posed else options.changed_copies,
        held_out_of(options),
        options.jobs,
    )


def do_one_dump(options: argparse.Namespace, posed: bool) -> None:
    from src.data import passages

    passages.load_faces(options.root_dir)
    do_dump(options, converter_of(options), posed)


def converter_of(options: argparse.Namespace) -> Converter | None:
    """AutoVC as the options want it, None for the plain log-mel."""
    from src.data import landmark_dumps

    if options.plain_mel:
        return None
    checkpoint, voice = options.load_AUTOVC_name, options.target_voice
    return landmark_dumps.converter(options.root_dir, CHECKPOINTS, checkpoint, voice)


def do_pictures(options: argparse.Namespace) -> None:
    from src.data import pack
    from src.settings import PICTURE_SUFFIXES

    stills = [path for folder in options.stills for path in sorted(folder.iterdir())]
    named = options.dump_file_name if options.step != "all" else None
    pack.pack_folders(
        options.root_dir,
        sources_of(options),
        [path for path in stills if path.suffix.lower() in PICTURE_SUFFIXES],
        held_out_of(options).split_of,
        options.jobs,
        named or "pictures",
    )


def sources_of(options: argparse.Namespace) -> list:
    """The clips of all folders of videos."""
    from src.data import clips

    return [source for folder in options.videos for source in clips.find_clips(folder)]


def held_out_of(options: argparse.Namespace) -> HeldOut:
    """Who is kept for validation and tests: as said, as said before, or drawn."""
    from src.data import clip_stages, splits

    root = options.root_dir
    return splits.decide(
        root, options.val, options.test, lambda: clip_stages.speakers_to_draw_from(root)
    )


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


STEPS = {
    "all": do_everything,
    "voices": do_voices,
    "clips": lambda options: do_clips(options, ("track",)),
    "offsets": do_offsets,
    "synthetic": do_synthetic,
    "faces": do_faces,
    "analyse": do_analyse,
    "content": lambda options: do_one_dump(options, posed=False),
    "speaker": lambda options: do_one_dump(options, posed=True),
    "pictures": do_pictures,
}
CLIP_STEPS = ("all", "clips", "offsets")  # those that work clip by clip


if __name__ == "__main__":
    sys.exit(main())
