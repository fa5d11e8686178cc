"""The figures of rendered videos as text and JSON."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from src.data.dumps import replace_file
from src.metrics import cases as judged
from src.metrics.cases import Score
from src.metrics.landmark_report import without_nan


def table(clips: list[Score], speech: list[Score]) -> str:
    """All figures as plain text."""
    lines = []
    if clips:
        means = judged.mean_correlations(clips)
        width = max(len(one.name) for one in clips)
        lines += ["Aperture correlation with the true clip", ""]
        lines.append(f"{'':{width}}  {'seconds':>9}{'face in':>9}" + columns(means, str))
        for one in clips:
            facts = f"{one.motion.seconds:9.1f}{one.seen:9.0%}"
            lines.append(f"{one.name:{width}}  {facts}{columns(one.correlations.values())}")
        lines += [f"{'mean':{width}}  {'':18}{columns(means.values())}", ""]
    if speech:
        aucs = judged.pooled_auc(speech)
        opened = sum(len(one.opened["video"]) for one in speech)
        shut = sum(len(one.shut["video"]) for one in speech)
        voices = " ".join(sorted({one.speaker for one in speech}))
        seen = sum(one.seen for one in speech) / len(speech)
        counts = f"{len(speech)} sentences, {opened} open vowels, {shut} p b m, face in {seen:.0%}"
        lines += [f"Open/shut AUC, voice {voices}: {counts}", ""]
        lines += [columns(aucs, str), columns(aucs.values()), ""]
    lines += ["Head and eyes, of the videos", ""]
    lines.append(f"{'':16}{'nose, % of jaw':>16}{'roll, degrees':>16}{'blinks a minute':>17}")
    for name, motions in motions_of(clips, speech).items():
        one = judged.pooled_motion(motions)
        figures = f"{one['position']:16.2f}{one['roll']:16.2f}{one['blinks_per_minute']:17.1f}"
        lines.append(f"{name:16}{figures}")
    return "\n".join(lines) + "\n"


def columns(values, as_text=lambda value: f"{value:.3f}") -> str:
    return "".join(f"{as_text(value):>11}" for value in values)


def motions_of(clips: list[Score], speech: list[Score]) -> dict[str, list]:
    """The motions of each row of the last table; those without videos are left out."""
    rows = {
        "clips": [one.motion for one in clips],
        "the true clips": [one.true_motion for one in clips],
        "speech": [one.motion for one in speech],
    }
    return {name: motions for name, motions in rows.items() if motions}


def write_json(path: Path, clips: list[Score], speech: list[Score], handed_on: list[str]) -> None:
    """All figures, of each case too; NaN becomes null."""
    contents = {
        "options": handed_on,
        "aperture_correlation": judged.mean_correlations(clips),
        "open_shut_auc": judged.pooled_auc(speech),
        "motion": {
            name: judged.pooled_motion(motions)
            for name, motions in motions_of(clips, speech).items()
        },
        "cases": [dataclasses.asdict(one) for one in (*clips, *speech)],
    }
    text = json.dumps(without_nan(contents), indent=1)
    replace_file(path, lambda file: file.write(text.encode()))
