"""Evaluation of predicted landmarks on the clips of held-out splits, by the paper's metrics."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.data import dumps
from src.data.synthesis import Phones, read_phones
from src.errors import InputError
from src.io.audio import FRAME_RATE
from src.metrics import predictions
from src.metrics.aperture import MEASURE_RATE, resample, signed_aperture
from src.metrics.head_motion import head_curves
from src.metrics.predictions import Example
from src.metrics.registry import measure, pool
from src.metrics.report import Report
from src.metrics.settings import MAX_SENTENCES
from src.metrics.speaker_separation import statistic_differences

if TYPE_CHECKING:
    from src.metrics.settings import EvaluationSettings
    from src.models.loading import MotionModels
    from src.motion.settings import MotionSettings

TRUTH, NETWORK, ANIMATED = "ground truth", "network", "animated"
MAX_VOICES = 4  # of a speaker in the separation of speakers
SEPARATION_SECONDS = 8.0  # of the recording that moves the head there

Tracks = dict[str, np.ndarray]
"""Landmarks (T, 68, 3) by method."""

_log = logging.getLogger(__name__)


def evaluate_landmarks(
    settings: EvaluationSettings, models: MotionModels, motion: MotionSettings, report: Report
) -> None:
    """Evaluate networks and baselines on both dumps; one of the two may be absent.

    Args:
        settings: dumps and splits.
        models: the networks.
        motion: amplitudes of the animated landmarks.
        report: gets the tables.

    Raises:
        InputError: both dumps are absent, or one is there for some of the splits only, is not a
            dump, or has no training clips beside it.
    """
    root, splits = settings.root, " and ".join(settings.splits)
    amplitudes = f"lips x {motion.amp_lip_x:g} and y {motion.amp_lip_y:g}, head {motion.amp_pos:g}"
    report.paragraphs.append(f"Landmarks of {splits}. *{ANIMATED}*: {amplitudes}.")
    report.figures |= {"settings": vars(motion), "splits": settings.splits, "clips": []}
    phones = read_phones(root)
    for dump, posed in ((settings.lip_dump, False), (settings.head_dump, True)):
        clips = limit_sentences(read_splits(root, settings.splits, dump), phones)
        if not clips:
            continue
        training = dumps.read_clips(root, "train", dump)
        baselines = predictions.fit_baselines(training, root, posed, set(phones))
        examples = []
        for clip in clips:
            example = predictions.read_example(clip, root, posed)
            raw, animated = predictions.predict_landmarks(example, models, motion, posed)
            tracks = {TRUTH: example.reference, NETWORK: raw, ANIMATED: animated}
            for name, line in baselines.items():
                tracks[name] = predictions.baseline_landmarks(example, *line)
            examples.append((example, tracks))
        absent = sum(example.spectrum is None for example, _ in examples)
        if absent:
            _log.info("%d clips are not in %s: features of the dump", absent, root / "analysed")
        if posed:
            evaluate_heads(report, examples)
            evaluate_speakers(report, root, [*training, *clips], models, motion.amp_pos)
        else:
            evaluate_lips(report, examples, phones)
    if not report.figures["clips"]:
        raise InputError(
            f"{root / 'dump'}: no clips in the {splits} dumps of {settings.lip_dump} and "
            f"{settings.head_dump}; main_prepare_data.py writes them"
        )


def read_splits(root: Path, splits: tuple[str, ...], dump: str) -> list[dumps.Clip]:
    """The original clips of a dump's splits together; none where all are absent.

    Raises:
        InputError: some are absent.
    """
    paths = [dumps.dump_paths(root, split, dump)[0] for split in splits]
    if not any(path.is_file() for path in paths):
        _log.warning("%s: absent", paths[0])
        return []
    clips = [clip for split in splits for clip in dumps.read_clips(root, split, dump)]
    return predictions.originals(clips)


def limit_sentences(clips: list[dumps.Clip], phones: dict[str, Phones]) -> list[dumps.Clip]:
    """Clips with at most `MAX_SENTENCES` synthetic sentences of each voice."""
    kept, counts = [], Counter()
    for clip in clips:
        voice = predictions.speaker_name(clip)
        counts[voice] += predictions.clip_name(clip) in phones
        if counts[voice] <= MAX_SENTENCES:
            kept.append(clip)
    return kept


def evaluate_lips(
    report: Report, examples: list[tuple[Example, Tracks]], all_phones: dict[str, Phones]
) -> None:
    """Add the lips' metrics to a report.

    Lips of synthetic speech were written from its phones, so they are compared with the predicted
    ones only where there is no recorded clip.
    """
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    all_synthetic = all(example.name in all_phones for example, _ in examples)
    compared_clips = 0
    for example, tracks in examples:
        phones = all_phones.get(example.name)
        compared = not phones or all_synthetic
        compared_clips += compared
        reference = signed_aperture(example.reference)
        frames = int(len(reference) * MEASURE_RATE / FRAME_RATE)
        reference = resample(reference, FRAME_RATE, frames)
        # Gaps of faces at rest differ; the phones' metric is of what the networks add.
        rest = signed_aperture(example.still[None])
        for method, track in tracks.items():
            gap, values = signed_aperture(track), {}
            if phones:
                values |= measure("phones", gap - rest, FRAME_RATE, phones)
            if compared:
                values |= measure("gap", gap, FRAME_RATE, reference)
                values |= measure("lips", track, example.reference)
            rows[method].append(values)
        if compared:
            add_clip(report, example, "lips", rows)
    spoken = [row["AUC"] for row in rows[NETWORK] if "AUC" in row]
    opened, shut = (sum(len(phones[kind]) for phones in spoken) for kind in (0, 1))
    report.figures |= {"lip clips": compared_clips, "sentences": len(spoken)}
    report.figures |= {"open vowels": opened, "p b m": shut, "lips": pool(rows)}
    title = f"Lips, {compared_clips} clips without head motion"
    if spoken:
        title += f"; AUC: {len(spoken)} sentences, {opened} open vowels, {shut} p b m"
    report.add_table(title, report.figures["lips"], "lips", "gap", "phones")


def evaluate_heads(report: Report, examples: list[tuple[Example, Tracks]]) -> None:
    """Add the metrics of landmarks with head motion to a report."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for example, tracks in examples:
        for method, track in tracks.items():
            rows[method].append(
                measure("face", track, example.reference)
                | measure("pose", track, example.reference, example.still)
                | measure("head", head_curves(track, example.still))
            )
        add_clip(report, example, "head", rows)
    heads = pool(rows)
    report.figures |= {"head clips": len(examples), "heads": heads}
    report.add_table(f"Whole face, {len(examples)} clips with head motion", heads, "face", "pose")
    relative = {
        f"{method} / {TRUTH}": {
            name: value / max(heads[TRUTH][name], 1e-9) for name, value in heads[method].items()
        }
        for method in (NETWORK, ANIMATED)
    }
    title = "Motion of the head (nose in % of the face's width, angles in degrees)"
    report.add_table(title, heads | relative, "head")


def add_clip(report: Report, example: Example, part: str, rows: dict[str, list[dict]]) -> None:
    """Add the values of a clip, the last ones of each method, to a report's figures."""
    clip = {"name": example.name, "speaker": example.speaker, "of": part}
    clip |= {method: values[-1] for method, values in rows.items()}
    report.figures["clips"].append(clip)


def evaluate_speakers(
    report: Report, root: Path, clips: list[dumps.Clip], models: MotionModels, amp_pos: float
) -> None:
    """Add the separation of speakers: of the clips, and of the recordings that AutoVC learns from.

    The longest clip's features move the head with every speaker embedding.
    """
    clips = predictions.originals(clips)
    longest = predictions.read_example(max(clips, key=lambda clip: len(clip.features)), root, True)
    content = predictions.content_features(longest, models)
    content = content[: round(SEPARATION_SECONDS * FRAME_RATE)]
    sources = {"clips": [(predictions.speaker_name(clip), clip.embedding) for clip in clips]}
    if (path := root / "dump" / "voices.npz").is_file():
        known = dumps.read_voices(path)
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
        if len(counts) > 1 and max(counts.values()) > 1:  # there are pairs of both kinds
            label = f"{source}, {len(speakers)} voices of {len(counts)} speakers"
            rows[label] = measure("speakers", statistic_differences(motions, speakers))
    report.figures["speakers"] = rows
    title = "Head motion from one recording with the speaker embeddings of many voices"
    report.add_table(title, rows, "speakers")
