"""Spread, speed and blinks by hand."""

import numpy as np
import pytest

from src.face.topology import NOSE_TIP
from src.metrics.blinks import blink_rate, blinks, eye_openness
from src.metrics.head_motion import head_curves, image_curves
from src.metrics.registry import measure, pool
from tests.metrics.faces import irregular_face, open_eyes, simple_face, turned


def test_spread_and_speed_of_a_head():
    still, track = irregular_face()[0], irregular_face(4)
    track[2:] += [6, 8, 0]  # two places 10 apart, one step between them
    track[1] = turned(track[1:2], 8, 2)[0]
    track[1, NOSE_TIP] = track[0, NOSE_TIP]
    found = measure("head", head_curves(track, still))
    assert found["spread of nose"] == pytest.approx(5)
    assert found["speed of nose"] == pytest.approx(10 / 3 * 62.5)
    track = irregular_face(4)
    track[1::2] = turned(track[1::2], 8, 2)
    found = measure("head", head_curves(track, still))
    assert found["spread of roll"] == pytest.approx(4)
    assert found["speed of roll"] == pytest.approx(8 * 62.5)
    assert found["spread of yaw"] == pytest.approx(0, abs=1e-6)


def test_motion_in_a_video_by_hand():
    face = open_eyes(simple_face(50), 6.0)
    face[25:] += [8, 6, 0]  # the nose at two places 10 apart: std 5 of a jaw of 100
    face[::2, 36, 1] += 60 * np.tan(np.radians(2))  # every other frame rolled by 2 degrees
    face[7] = np.nan
    found = measure("video", face) | measure("video head", image_curves(face))
    assert found["nose"] == pytest.approx(5.0, abs=0.01)
    assert found["roll"] == pytest.approx(1.0, abs=0.01)
    assert found["blinks"] == (0, 2.0)


def test_a_video_without_a_face_has_no_motion():
    absent = np.full((25, 68, 3), np.nan)
    values = measure("video", absent) | measure("video head", image_curves(absent))
    found = pool([{"speech": values}])["speech"]
    assert found["face found"] == 0
    assert np.isnan(found["nose"]) and np.isnan(found["roll"]) and found["blinks"] == 0


def test_blinks_are_short_deep_dips():
    gap = np.full(200, 6.0)
    gap[20:24] = [3.5, 1, 1, 3.5]  # a blink
    gap[50:53] = 3.9  # a look downwards
    gap[80:110] = 0.5  # eyes shut for longer than a blink
    gap[197:] = 1.0  # a blink that the end cuts
    face = open_eyes(simple_face(200), gap)
    assert eye_openness(face)[0] == pytest.approx(6 / 20)
    assert blinks(face) == (2, 8.0)
    assert blinks(np.full((25, 68, 3), np.nan)) == (0, 1.0)


def test_blinks_per_minute_are_pooled_over_videos():
    assert blink_rate([(2, 10.0), (0, 20.0)]) == 4.0
