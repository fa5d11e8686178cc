"""Turn videos and recordings into the dumps that the trainings read.

    python main_prepare_data.py --root_dir ROOT --videos DIR [DIR ...]

does everything for folders of videos of one talking face each. Every clip: 25 frames per second and
16 kHz, the 68 landmarks of every frame, short gaps filled, the audio-visual offset measured by the
lips, spectrogram, F0 and speaker embedding. Then all together: a split by speaker, landmarks
smoothed, registered and resampled to 62.5 frames per second, the voice converted by AutoVC, the
dumps of the content branch (autovc_retrain_mel_*) and of the speaker-aware branch (speaker_aware_*
with ..._gaze.pickle), and the packed faces for image translation (pictures_*). ROOT/clips.csv has a
row for every clip with its offset and, if it is left out, the reason; ROOT/splits.json has the
held-out speakers.

Speakers are those of DIR/manifest.csv (columns file, speaker, and if known speech_synced); without
one, the folders below DIR, or the beginnings of the file names up to the first - or _.

Finished clips are kept, so an interrupted run continues when it is started again. --shard I/N
processes part I of N of the clips only (I from 1), for the job array of a cluster; when all parts
are done, a run without --shard joins them.

The single steps, for all but the simplest data:

    python main_prepare_data.py --root_dir ROOT --step voices --speech DIR
    python main_prepare_data.py --root_dir ROOT --step synthetic --synthetic rms=20 espeak=40
    python main_prepare_data.py --root_dir ROOT --step clips --videos DIR [DIR ...]
    python main_prepare_data.py --root_dir ROOT --step faces
    python main_prepare_data.py --root_dir ROOT --step content --load_AUTOVC_name CHECKPOINT
    python main_prepare_data.py --root_dir ROOT --step speaker --load_AUTOVC_name CHECKPOINT
    python main_prepare_data.py --root_dir ROOT --step pictures --videos DIR --stills DIR

Step voices writes the data of main_train_voice_conversion.py. Step pictures packs the faces of
tracked clips, and still faces, for main_train_image_translation.py. Without --load_AUTOVC_name, the
AutoVC of main_end2end.py is used.
"""

from __future__ import annotations

import argparse
import sys

from src.command_line import OneLineParser, run_command
from src.data.settings import Preparation
from src.options import add_options, from_options


def main(arguments: list[str] | None = None) -> int:
    parser = OneLineParser(description=__doc__)
    add_options(parser, Preparation)
    return run_command(run, parser.parse_args(arguments))


def run(options: argparse.Namespace) -> None:
    settings = from_options(options, Preparation)  # names what is wrong before heavy imports
    from src.data import steps

    steps.STEPS[settings.step](settings)


if __name__ == "__main__":
    sys.exit(main())
