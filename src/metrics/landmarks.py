"""Evaluation of predicted landmarks on the clips of held-out splits, by the paper's metrics."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.data import dumps
from src.data.synthesis import Phones, read_phones
from src.errors import InputError
from src.io.audio import FRAME_RATE
from src.metrics import predictions
from src.metrics.aperture import MEASURE_RATE, at_measure_rate, signed_aperture
from src.metrics.head_motion import head_curves
from src.metrics.open_shut import describe
from src.metrics.predictions import ANIMATED, NETWORK, Example
from src.metrics.registry import TRUTH, Case, measure
from src.metrics.report import Report
from src.metrics.settings import MAX_SENTENCES
from src.metrics.speaker_separation import statistic_differences

if TYPE_CHECKING:
    from src.metrics.settings import EvaluationSettings
    from src.models.loading import MotionModels
    from src.motion.settings import MotionSettings

MAX_VOICES = 4  # of a speaker in the separation of speakers
SEPARATION_SECONDS = 8.0  # of the recording that moves the head there

_log = logging.getLogger(__name__)


def evaluate_landmarks(
    settings: EvaluationSettings, models: MotionModels, motion: MotionSettings, report: Report
) -> None:
    """Evaluate networks and baselines on both dumps; one of the two may be absent.

    Raises:
        InputError: both dumps are absent, or one is there for some of the splits only, is not a
            dump, or has no training clips beside it.
    """
    root, splits = settings.root, " and ".join(settings.splits)
    amplitudes = f"lips x {motion.amp_lip_x:g} and y {motion.amp_lip_y:g}, head {motion.amp_pos:g}"
    report.paragraphs.append(f"Landmarks of {splits}. *{ANIMATED}*: {amplitudes}.")
    report.figures |= {"settings": vars(motion), "splits": settings.splits}
    phones = read_phones(root)
    for part, dump in (("lips", settings.lip_dump), ("heads", settings.head_dump)):
        clips = read_splits(root, settings.splits, dump, phones)
        if not clips:
            continue
        posed = part == "heads"
        training = dumps.read_clips(root, "train", dump)
        baselines = predictions.fit_baselines(training, root, posed, phones)
        cases: dict[str, Case] = {}
        without_spectrum = 0
        for clip in clips:
            example = predictions.read_example(clip, root, posed)
            without_spectrum += example.spectrum is None
            tracks = predictions.predict_landmarks(example, models, motion, baselines)
            cases[clip.name] = {
                method: measure_head(example, track)
                if posed
                else measure_lips(example, track, phones.get(clip.stem))
                for method, track in tracks.items()
            }
        if without_spectrum:
            text = "%d clips are not in ROOT/analysed, so the dump's features are used"
            _log.info(text, without_spectrum)
        if posed:
            add_head_tables(report, cases)
            evaluate_speakers(report, root, [*training, *clips], models, motion.amp_pos)
        else:
            counts = describe([case[NETWORK] for case in cases.values()])
            title = f"Lips without head motion, {counts}"
            report.add_cases("lips", title, cases, "lips", "gap", "phones")
    if not report.figures.keys() & {"lips", "heads"}:
        raise InputError(
            f"{root / 'dump'}: no clips in the {splits} dumps of {settings.lip_dump} and "
            f"{settings.head_dump}; main_prepare_data.py writes them"
        )


def read_splits(
    root: Path, splits: tuple[str, ...], dump: str, phones: dict[str, Phones]
) -> list[dumps.Clip]:
    """The original clips of a dump's splits together; none where all are absent.

    Of each synthetic voice, whose sentences ``phones`` has, there are at most `MAX_SENTENCES`.

    Raises:
        InputError: some are absent.
    """
    paths = [dumps.dump_paths(root, split, dump)[0] for split in splits]
    if not any(path.is_file() for path in paths):
        _log.warning("%s: absent", paths[0])
        return []
    kept, counts = [], Counter()
    for clip in [clip for split in splits for clip in dumps.read_clips(root, split, dump)]:
        counts[clip.speaker] += clip.stem in phones
        if not clip.is_augmented and counts[clip.speaker] <= MAX_SENTENCES:
            kept.append(clip)
    return kept


def measure_lips(example: Example, track: np.ndarray, phones: Phones | None) -> dict[str, Any]:
    """The lips' metrics of predicted landmarks (T, 68, 3).

    Lips of synthetic speech were written from its phones, so its phones are measured instead.
    """
    gap, rest, reference = map(signed_aperture, (track, example.still[None], example.reference))
    if phones:
        # Gaps of faces at rest differ; the metric is of what the networks add.
        return measure("phones", gap - rest, FRAME_RATE, phones)
    frames = int(len(reference) * MEASURE_RATE / FRAME_RATE)
    reference = at_measure_rate(reference, FRAME_RATE, frames)
    return measure("gap", gap, FRAME_RATE, reference) | measure("lips", track, example.reference)


def measure_head(example: Example, track: np.ndarray) -> dict[str, Any]:
    """The metrics of predicted landmarks (T, 68, 3) with head motion."""
    return (
        measure("face", track, example.reference)
        | measure("pose", track, example.reference, example.still)
        | measure("head", head_curves(track, example.still))
    )


def add_head_tables(report: Report, cases: dict[str, Case]) -> None:
    """Add errors, and extents of the head motion, also relative to the ground truth's."""
    title = f"Whole face, {len(cases)} clips with head motion"
    report.add_cases("heads", title, cases, "face", "pose")
    heads = report.figures["heads"]
    relative = {
        f"{method} / {TRUTH}": {
            name: value / max(heads[TRUTH][name], 1e-9) for name, value in heads[method].items()
        }
        for method in (NETWORK, ANIMATED)
    }
    title = "Motion of the head (nose in % of the face's width, angles in degrees)"
    report.add_table(title, heads | relative, "head")


def evaluate_speakers(
    report: Report, root: Path, clips: list[dumps.Clip], models: MotionModels, amp_pos: float
) -> None:
    """Add the separation of speakers: of the clips, and of the recordings that AutoVC learns from.

    The longest clip's features move the head with every speaker embedding.
    """
    clips = [clip for clip in clips if not clip.is_augmented]
    longest = predictions.read_example(max(clips, key=lambda clip: len(clip.features)), root, True)
    content = predictions.content_features(longest, models)
    content = content[: round(SEPARATION_SECONDS * FRAME_RATE)]
    sources = {"clips": [(clip.speaker, clip.embedding) for clip in clips]}
    if (root / "dump" / "voices.npz").is_file():
        known = dumps.read_voices(root)
        counts = Counter(known.speakers)
        pairs = zip(known.speakers, known.embeddings, strict=True)
        sources["recordings"] = [pair for pair in pairs if counts[pair[0]] > 1]
    rows = {}
    for source, voices in sources.items():
        counts, speakers, motions = Counter(), [], []
        for speaker, embedding in voices:
            counts[speaker] += 1
            if counts[speaker] <= MAX_VOICES:
                head = predictions.head_displacement(content, np.float32(embedding), models)
                motions.append(head_curves(longest.still + amp_pos * head, longest.still))
                speakers.append(speaker)
        label = f"{source}, {len(speakers)} voices of {len(counts)} speakers"
        rows[label] = measure("speakers", statistic_differences(motions, speakers))
    report.figures["speakers"] = rows
    title = "Head motion from one recording with the speaker embeddings of many voices"
    report.add_table(title, rows, "speakers")
