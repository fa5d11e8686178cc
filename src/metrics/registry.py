"""Registry of the metrics: a new one is a module with a function, and a line in `METRICS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from src.metrics import aperture, blinks, image_quality, landmark_error, open_shut
from src.metrics.cases import HeadMotion, HeadTrack, ImageRun, LipGap, LipMotion, VideoTrack
from src.metrics.head_motion import nose_spread, roll_spread, speed, spread
from src.metrics.speaker_separation import SpeakerTracks, difference, separation_auc


def finite_mean(values: list[float]) -> float:
    """Mean of the values that are not NaN; NaN of none."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    return float(known.mean()) if known.size else float("nan")


@dataclass(frozen=True)
class Metric:
    """A metric, the cases that it measures, and how it is printed."""

    function: Callable[[Any], Any]
    """Takes a case and returns its value, or None where the case lacks what is needed."""
    case: type
    """Class of the case."""
    unit: str = ""
    decimals: int = 2
    pool: Callable[[list], float] = finite_mean
    """Makes one number of the values of many cases."""


METRICS: dict[str, Metric] = {
    "D-LL": Metric(landmark_error.d_ll, LipMotion, "%"),
    "D-VL": Metric(landmark_error.d_vl, LipMotion, "%"),
    "D-A": Metric(landmark_error.d_a, LipMotion, "%"),
    "correlation": Metric(aperture.correlation, LipGap, decimals=3),
    "AUC": Metric(open_shut.extremes, LipGap, decimals=3, pool=open_shut.pooled_auc),
    "D-L": Metric(landmark_error.d_l, HeadMotion, "%"),
    "D-V": Metric(landmark_error.d_v, HeadMotion, "%"),
    "D-Rot": Metric(landmark_error.d_rot, HeadMotion, "°"),
    "D-Pos": Metric(landmark_error.d_pos, HeadMotion, "%"),
    "spread of nose": Metric(partial(spread, curve="nose"), HeadTrack, "%"),
    "spread of yaw": Metric(partial(spread, curve="yaw"), HeadTrack, "°"),
    "spread of pitch": Metric(partial(spread, curve="pitch"), HeadTrack, "°"),
    "spread of roll": Metric(partial(spread, curve="roll"), HeadTrack, "°"),
    "speed of nose": Metric(partial(speed, curve="nose"), HeadTrack, "%"),
    "speed of yaw": Metric(partial(speed, curve="yaw"), HeadTrack, "°"),
    "speed of pitch": Metric(partial(speed, curve="pitch"), HeadTrack, "°"),
    "speed of roll": Metric(partial(speed, curve="roll"), HeadTrack, "°"),
    "nose, one speaker": Metric(partial(difference, of="nose"), SpeakerTracks, "%"),
    "nose, two speakers": Metric(partial(difference, of="nose", pair=1), SpeakerTracks, "%"),
    "nose, AUC": Metric(partial(separation_auc, of="nose"), SpeakerTracks, decimals=3),
    "statistics, one speaker": Metric(partial(difference, of="statistics"), SpeakerTracks, "ratio"),
    "statistics, two speakers": Metric(
        partial(difference, of="statistics", pair=1), SpeakerTracks, "ratio"
    ),
    "statistics, AUC": Metric(partial(separation_auc, of="statistics"), SpeakerTracks, decimals=3),
    "nose": Metric(nose_spread, VideoTrack, "% of jaw"),
    "roll": Metric(roll_spread, VideoTrack, "°"),
    "blinks": Metric(blinks.blinks, VideoTrack, "per minute", 1, blinks.blink_rate),
    "PSNR": Metric(image_quality.face_psnr, ImageRun, "dB"),
    "SSIM": Metric(image_quality.face_ssim, ImageRun, decimals=4),
    "mouth PSNR": Metric(image_quality.mouth_psnr, ImageRun, "dB"),
    "lips": Metric(image_quality.lip_error, ImageRun, "% of jaw"),
    "mouth sharpness": Metric(image_quality.mouth_sharpness, ImageRun),
    "flicker": Metric(image_quality.flicker, ImageRun),
}
"""Name to metric, in the order of the tables' columns."""


def measure(case: Any) -> dict[str, Any]:
    """The values of all metrics that measure this kind of case."""
    values = {
        name: metric.function(case)
        for name, metric in METRICS.items()
        if isinstance(case, metric.case)
    }
    return {name: value for name, value in values.items() if value is not None}


def pool(rows: list[dict[str, Any]]) -> dict[str, float]:
    """One number for each metric from the values of many cases."""
    return {
        name: metric.pool(values)
        for name, metric in METRICS.items()
        if (values := [row[name] for row in rows if name in row])
    }


def numbers(values: dict[str, Any]) -> dict[str, float]:
    """The values of a case that are numbers, without those that only pooling makes one of."""
    return {name: value for name, value in values.items() if METRICS[name].pool is finite_mean}
