"""Registry of the metrics: a new one is a module with a function, and a line in `METRICS`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from src.metrics import aperture, blinks, image_quality, landmark_error, open_shut
from src.metrics.head_motion import face_found, speed, spread
from src.metrics.landmark_error import face_distance, lip_distance
from src.metrics.speaker_separation import ratio, separation_auc

TRUTH = "ground truth"

Case = dict[str, dict[str, Any]]
"""Values of a case by label, such as a method, and by name of the metric."""


def finite_mean(values: list[float]) -> float:
    """Mean of the finite values; NaN where there are none."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    return float(known.mean()) if known.size else float("nan")


@dataclass(frozen=True)
class Metric:
    """A metric, and how it is printed."""

    function: Callable[..., Any]
    kind: str
    """Kind of case that it measures. All metrics of a kind take the same arguments."""
    unit: str = ""
    decimals: int = 2
    pool: Callable[[list], float] = finite_mean
    """Makes one number of the values of many cases."""


METRICS: dict[str, Metric] = {
    "D-LL": Metric(partial(lip_distance, order=0), "lips", "%"),
    "D-VL": Metric(partial(lip_distance, order=1), "lips", "%"),
    "D-A": Metric(landmark_error.d_a, "lips", "%"),
    "correlation": Metric(aperture.correlation, "gap", decimals=3),
    "AUC": Metric(open_shut.interpolated_extremes, "phones", "", 3, open_shut.pooled_auc),
    "D-L": Metric(partial(face_distance, order=0), "face", "%"),
    "D-V": Metric(partial(face_distance, order=1), "face", "%"),
    "D-Rot": Metric(landmark_error.d_rot, "pose", "°"),
    "D-Pos": Metric(landmark_error.d_pos, "pose", "%"),
    "spread of nose": Metric(partial(spread, name="nose"), "head", "%"),
    "spread of yaw": Metric(partial(spread, name="yaw"), "head", "°"),
    "spread of pitch": Metric(partial(spread, name="pitch"), "head", "°"),
    "spread of roll": Metric(partial(spread, name="roll"), "head", "°"),
    "speed of nose": Metric(partial(speed, name="nose"), "head", "%"),
    "speed of yaw": Metric(partial(speed, name="yaw"), "head", "°"),
    "speed of pitch": Metric(partial(speed, name="pitch"), "head", "°"),
    "speed of roll": Metric(partial(speed, name="roll"), "head", "°"),
    "statistics, one speaker": Metric(partial(ratio, kind=0), "speakers", "ratio"),
    "statistics, two speakers": Metric(partial(ratio, kind=1), "speakers", "ratio"),
    "statistics, AUC": Metric(separation_auc, "speakers", decimals=3),
    "face found": Metric(face_found, "video", "%", 0),
    "nose": Metric(partial(spread, name="nose"), "video head", "% of jaw"),
    "roll": Metric(partial(spread, name="roll"), "video head", "°"),
    "blinks": Metric(blinks.blinks, "video", "per minute", 1, blinks.blink_rate),
    "PSNR": Metric(image_quality.face_psnr, "images", "dB"),
    "SSIM": Metric(image_quality.face_ssim, "images", decimals=4),
    "mouth PSNR": Metric(image_quality.mouth_psnr, "images", "dB"),
    "lips": Metric(image_quality.lip_error, "images", "% of jaw"),
    "mouth sharpness": Metric(image_quality.mouth_sharpness, "images"),
    "flicker": Metric(image_quality.flicker, "images"),
}
"""Name to metric, in the order of the tables' columns."""


def measure(kind: str, *arguments: Any) -> dict[str, Any]:
    """The values of all metrics of a kind of case."""
    return {
        name: metric.function(*arguments) for name, metric in METRICS.items() if metric.kind == kind
    }


def pool(cases: Iterable[Case]) -> Case:
    """One number for each metric from the values of many cases, by label."""
    cases = list(cases)
    return {
        label: {
            name: metric.pool(values)
            for name, metric in METRICS.items()
            if (values := [case[label][name] for case in cases if name in case.get(label, {})])
        }
        for label in dict.fromkeys(label for case in cases for label in case)
    }
