"""The measures give the numbers one works out by hand, and see in a video what was put there."""

import json
import os
import signal
import sys
import time
import wave
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from matplotlib import cbook

import main_evaluate
from src.errors import InputError
from src.face.detection import detect_landmarks
from src.face.topology import EYELID_PAIRS, LANDMARK_COUNT
from src.io.video import write_video
from src.metrics import cases, rendered, rendering
from src.metrics.aperture import aperture, aperture_correlation
from src.metrics.open_shut import interpolated_extremes, open_shut_auc, phone_extremes
from src.render.warp.portrait import WarpRenderer


def simple_face(frames: int = 1) -> np.ndarray:
    """(frames, 68, 3): jaw 100 wide, outer eye corners 60 apart, lids and lips together."""
    face = np.zeros((frames, LANDMARK_COUNT, 3))
    face[:, 0, 0], face[:, 16, 0] = -50, 50
    face[:, 36, 0], face[:, 39, 0] = -30, -10
    face[:, 42, 0], face[:, 45, 0] = 10, 30
    face[:, 30, 1] = 20
    face[:, 48:68, 1] = 40
    for points, start, step in ((range(60, 65), -20, 10), (range(64, 68), 20, -10)):
        for number, point in enumerate(points):
            face[:, point, 0] = start + step * number
    return face


def open_eyes(face: np.ndarray, gap) -> np.ndarray:
    """Lids `gap` apart, a number or one for each frame."""
    for upper, lower in EYELID_PAIRS:
        face[:, upper, 1], face[:, lower, 1] = -np.asarray(gap) / 2, np.asarray(gap) / 2
    return face


# ---- measures ------------------------------------------------------------------------------------


def test_aperture_is_gap_over_eye_distance_whatever_size_and_roll():
    face = simple_face(2)
    face[0, 66, 1] += 6
    face[1, 66, 1] += 15
    np.testing.assert_allclose(aperture(face), [6 / 60, 15 / 60])
    cos, sin = np.cos(0.4), np.sin(0.4)
    turned = 3.0 * face @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]) + [500, 80, 7]
    np.testing.assert_allclose(aperture(turned), [0.1, 0.25])


def test_correlation_by_hand():
    # Deviations (-1, 0, 1) and (-2, 1, 1): 3 / sqrt(2 * 6).
    found = aperture_correlation(np.array([1.0, 2, 3]), np.array([0.0, 3, 3]), lag=0)
    assert found == pytest.approx(3 / np.sqrt(12))
    assert aperture_correlation(np.arange(9.0), -np.arange(9.0), lag=0) == pytest.approx(-1)


@pytest.mark.parametrize("late", [-2, -1, 0, 1, 2])
def test_correlation_finds_a_lag_of_up_to_two_frames(late):
    moving = np.random.default_rng(0).normal(size=120)
    true, made = moving[10:110], moving[10 - late : 110 - late]
    assert aperture_correlation(made, true) == pytest.approx(1.0)


def test_correlation_does_not_look_beyond_its_lag():
    moving = np.random.default_rng(0).normal(size=120)
    assert aperture_correlation(moving[7:107], moving[10:110]) < 0.4


def test_correlation_passes_over_unseen_frames_and_motionless_lips():
    true = np.random.default_rng(0).normal(size=50)
    made = true.copy()
    made[[3, 20]] = np.nan
    assert aperture_correlation(made, true, lag=0) == pytest.approx(1.0)
    assert np.isnan(aperture_correlation(np.full(50, 0.2), true))


def test_phone_extremes_by_hand():
    gap = np.array([0.0, 0.1, 0.3, 0.2, 0.05, 0.01, 0.04, np.nan, np.nan, 0.5])
    phones = [
        ("aa", 0.1, 0.3),  # frames 1-3
        ("t", 0.3, 0.4),
        ("m", 0.4, 0.6),  # frames 4-6
        ("b", 0.31, 0.36),  # between two frames: the nearest, 3
        ("ae", 0.7, 0.8),  # no face seen
    ]
    assert phone_extremes(gap, 10.0, phones) == ([0.3], [0.01, 0.2])


def test_auc_by_hand():
    # 3 > 1, 3 > 2, 2 > 1, and 2 = 2 counts a half: 3.5 of 4 pairs.
    assert open_shut_auc([3.0, 2.0], [1.0, 2.0]) == 3.5 / 4
    assert open_shut_auc([0.0], [1.0]) == 0.0
    assert np.isnan(open_shut_auc([], [1.0]))


# ---- what is measured on a video -----------------------------------------------------------------


def test_gap_between_two_frames_is_interpolated():
    gap = np.array([0.0, 1.0, 0.0, 0.4])
    # At 25 frames a second: 0.05 s is a quarter of the way from the peak at 0.04 to 0 at 0.08,
    # 0.065 is five eighths of it.
    opened, shut = interpolated_extremes(gap, 25.0, [("aa", 0.05, 0.07), ("p", 0.05, 0.065)])
    assert opened == pytest.approx([0.75])
    assert shut == pytest.approx([1 - 5 / 8])


def test_motion_by_hand():
    face = open_eyes(simple_face(50), 6.0)
    face[25:] += [8, 6, 0]  # the nose at two places 10 apart: deviation 5 of a jaw of 100
    face[::2, 36, 1] += 60 * np.tan(np.radians(2))  # every other frame rolled by 2 degrees
    face[7] = np.nan
    found = rendered.motion(face)
    assert found.seconds == 2.0
    assert found.position == pytest.approx(5.0, abs=0.01)
    assert found.roll == pytest.approx(1.0, abs=0.01)
    assert found.blinks == 0


def test_blinks_are_short_deep_dips():
    gap = np.full(200, 6.0)
    gap[20:24] = [3.5, 1, 1, 3.5]  # a blink
    gap[50:53] = 3.9  # a look downwards
    gap[80:110] = 0.5  # eyes shut for longer than a blink
    gap[197:] = 1.0  # a blink that the end cuts
    openness = rendered.eye_openness(open_eyes(simple_face(200), gap))
    assert openness[0] == pytest.approx(6 / 20)
    assert rendered.count_blinks(openness) == 2
    assert rendered.count_blinks(np.full(9, np.nan)) == 0


def test_loudness_is_the_log_of_the_rms():
    times = np.arange(16000) / 16000
    wav = 8000 * np.sqrt(2) * np.sin(2 * np.pi * 400 * times)
    wav[8000:] /= 10
    wav[12800:] = 0
    found = rendered.loudness_track(wav.astype(np.int16), 25)
    np.testing.assert_allclose(found[1:12], np.log10(8000), atol=1e-3)
    np.testing.assert_allclose(found[13:19], np.log10(800), atol=1e-3)
    np.testing.assert_allclose(found[21:], 1.0)


def test_portrait_is_frontal_awake_and_shut():
    track = open_eyes(simple_face(8), 6.0)
    track[:, 65:68, 1] += 10
    track[:3, 30, 0] += 25  # looks aside
    track[0, 65:68, 1] -= 10  # and is shut
    track[5, 65:68, 1] -= 10  # shut, but asleep
    open_eyes(track[5:6], 1.0)
    track[6, 65:68, 1] -= 8  # the one
    track[7] = np.nan
    assert rendered.portrait_frame(track) == 6
    with pytest.raises(ValueError, match="no frame shows a face"):
        rendered.portrait_frame(track[7:])


@pytest.mark.parametrize(
    ("offset", "frames", "samples"),
    [
        (0.0, slice(0, 25), slice(0, 16000)),
        (0.08, slice(0, 23), slice(1280, 16000)),  # the picture leads: its sound comes later
        (-0.12, slice(3, 25), slice(0, 14080)),
    ],
)
def test_sound_and_picture_in_step(offset, frames, samples):
    assert rendered.in_step(25, 16000, offset) == (frames, samples)


def test_short_sound_limits_the_frames():
    assert rendered.in_step(25, 6500, 0.0) == (slice(0, 10), slice(0, 6400))


# ---- on real pictures ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hopper() -> np.ndarray:
    return cv2.imread(str(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))


@pytest.fixture(scope="module")
def speaking(hopper, tmp_path_factory):
    """A video in which the portrait opens its mouth, nods and blinks once, and its landmarks."""
    still = detect_landmarks(hopper, "mediapipe")
    frames = 60
    times = np.arange(frames) / 25
    opening = 0.5 - 0.5 * np.cos(2 * np.pi * 1.7 * times)
    track = np.repeat(still[None], frames, 0)
    eyes = np.linalg.norm(still[45] - still[36])
    track[:, [65, 66, 67, 55, 56, 57, 58, 59], 1] += 0.25 * eyes * opening[:, None]
    track[:, 6:11, 1] += 0.2 * eyes * opening[:, None]
    for upper, lower in EYELID_PAIRS:
        track[30:34, upper] = track[30:34, lower]
    track[:, :, 0] += 0.1 * eyes * np.sin(2 * np.pi * times / 2.4)[:, None]
    folder = tmp_path_factory.mktemp("speaking")
    sound = folder / "sound.wav"
    rendering.write_wav(sound, (3000 * np.sin(np.arange(frames * 640) / 9)).astype(np.int16))
    renderer = WarpRenderer(hopper, still)
    write_video(folder / "talk.mp4", (renderer.render(points) for points in track), 25, sound)
    return folder / "talk.mp4", track


def test_what_was_rendered_is_found_again(speaking):
    path, true = speaking
    found = rendered.redetect(path)
    assert found.shape == true.shape
    assert np.isfinite(found).all()
    assert aperture_correlation(aperture(found), aperture(true), 0) > 0.97
    seen, meant = rendered.motion(found), rendered.motion(true)
    assert (seen.blinks, meant.blinks) == (1, 1)
    assert seen.position == pytest.approx(meant.position, rel=0.2)
    assert seen.roll < 0.5


def test_no_face_is_nan():
    empty = np.full((120, 160, 3), 90, np.uint8)
    found = rendered.track_faces([empty] * 3)
    assert found.shape == (3, 68, 3)
    assert np.isnan(found).all()
    assert np.isnan(rendered.motion(found).position)


@pytest.fixture(scope="module")
def root(speaking, tmp_path_factory):
    """A folder as main_prepare_data.py leaves it: one clip and one sentence."""
    path, _ = speaking
    folder = tmp_path_factory.mktemp("root")
    (folder / "clips").mkdir()
    (folder / "synthetic").mkdir()
    track = rendered.redetect(path)
    rng = np.random.default_rng(0)
    wav = (2000 * rng.normal(size=len(track) * 640)).astype(np.int16)
    known = {"landmarks": track.astype(np.float32), "wav": wav, "speaker": "grace"}
    np.savez(folder / "clips" / "talk.npz", synced=True, offset=0.08, **known)
    np.savez(folder / "clips" / "dubbed.npz", synced=False, offset=0.0, **known)
    np.savez(
        folder / "synthetic" / "robot_00000.npz",
        wav=wav[:16000],
        speaker="robot",
        phones=np.array(["pau", "m", "aa", "p"]),
        times=np.array([[0, 0.2], [0.2, 0.4], [0.4, 0.7], [0.7, 0.9]]),
    )
    return folder


def test_a_clip_becomes_a_case(root, speaking, hopper):
    path, true = speaking
    (case,) = cases.clip_cases(root, ["grace"], [path.parent])
    assert (case.name, case.speaker, case.phones) == ("talk", "grace", None)
    assert case.true.shape == (58, 68, 3)  # the picture leads by two frames
    assert len(case.wav) == 58 * 640
    assert case.portrait.shape == hopper.shape
    assert aperture(case.portrait_frame[None])[0] < 0.02
    assert aperture(detect_landmarks(case.portrait, "mediapipe")[None])[0] < 0.02


def test_scores_of_a_perfect_and_a_motionless_video(root, speaking):
    path, _ = speaking
    (case,) = cases.clip_cases(root, ["grace"], [path.parent])
    perfect = cases.score(case, case.true, None, None)
    assert perfect.correlations["video"] == pytest.approx(1.0)
    assert perfect.seen == 1.0
    motionless = cases.score(case, np.repeat(case.true[:1], len(case.true), 0), None, None)
    assert np.isnan(motionless.correlations["video"])
    means = cases.mean_correlations([perfect, motionless])
    assert means["video"] == pytest.approx(0.5)


def test_the_landmarks_of_a_video_are_scored_at_its_rate(root, speaking):
    path, _ = speaking
    (case,) = cases.clip_cases(root, ["grace"], [path.parent])
    at_audio_rate = np.arange(145) * 25 / 62.5
    flat = case.true.reshape(58, -1)
    finer = np.stack([np.interp(at_audio_rate, np.arange(58), column) for column in flat.T], 1)
    found = cases.score(case, case.true, finer.reshape(-1, 68, 3), None)
    assert found.correlations["landmarks"] > 0.99


def test_speech_is_scored_by_its_phones(root, hopper):
    (case,) = cases.speech_cases(root, ["robot"], hopper, most=5)
    assert case.phones[1] == ("m", 0.2, 0.4)
    track = open_eyes(simple_face(25), 6.0)
    track[10:18, 66, 1] += 12  # 0.40 to 0.68 s: the vowel
    found = cases.score(case, track, None, None)
    assert found.opened["video"] == pytest.approx([12 / 60])
    assert found.shut["video"] == pytest.approx([0.0, 0.0])
    assert cases.pooled_auc([found])["video"] == 1.0


def test_the_ceiling_is_high(root, speaking):
    path, _ = speaking
    (case,) = cases.clip_cases(root, ["grace"], [path.parent])
    track = cases.ceiling_track(case, None)
    assert cases.score(case, track, None, track).correlations["ceiling"] > 0.95


# ---- the command ---------------------------------------------------------------------------------


def refusal(capsys, *arguments) -> str:
    assert main_evaluate.main([str(argument) for argument in arguments]) == 2
    return capsys.readouterr().err


def test_bad_input_ends_in_one_line(root, tmp_path, capsys):
    nowhere = tmp_path / "nowhere"
    assert refusal(capsys, "--root_dir", nowhere) == f"{nowhere}: no such folder\n"
    videos = ("--root_dir", root, "--measure", "videos", "--speakers")
    said = refusal(capsys, *videos, "grace", "nobody", "--voices")
    assert said == "--videos none given: no video of the tracked clip talk\n"
    said = refusal(capsys, *videos, "nobody", "--voices")
    assert said == f"{root / 'clips'}: no clip with speech in sync of nobody\n"
    said = refusal(capsys, *videos, "--voices")
    assert said.startswith("--speakers and --voices: both are empty")
    said = refusal(capsys, *videos, "--portrait", nowhere)
    assert said == f"{nowhere}: no such picture\n"
    (tmp_path / "file").write_text("")
    said = refusal(capsys, *videos, "--json", tmp_path / "file" / "report.json")
    assert said.startswith(f"{tmp_path / 'file' / 'report.json'}: cannot be written")


def test_options_of_its_own_cannot_be_handed_on(root, capsys):
    with pytest.raises(SystemExit):
        main_evaluate.main(["--root_dir", str(root), "--videos", "x", "--fps", "50"])
    assert "--fps: set by this script" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main_evaluate.main(["--root_dir", str(root), "--seed", "1"])
    assert "unrecognized arguments: --seed 1" in capsys.readouterr().err
    options, handed_on = main_evaluate.parse(
        ["--root_dir=x", "--videos=v", "--amp_lip_y=1.5", "--voices", "slt", "--load_G_name=a.pth"]
    )
    assert sorted(handed_on) == ["--amp_lip_y=1.5", "--load_G_name=a.pth"]
    assert options.voices == ["slt"]


def test_a_stop_ends_what_runs():
    children = rendering.Children()
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(children.run, sleep, dict(os.environ))
        while not children._running:
            time.sleep(0.01)
        children.stop()
        assert future.result(timeout=10)[0] == -signal.SIGTERM
    with pytest.raises(InputError, match="stopped"):
        children.run(sleep, dict(os.environ))


def test_whole_command(root, speaking, tmp_path, capsys):
    path, _ = speaking
    report = tmp_path / "report.json"
    videos = tmp_path / "videos"
    arguments = ["--root_dir", root, "--videos", path.parent, "--speakers", "grace"]
    arguments += ["--voices", "robot", "--out_dir", videos, "--json", report, "--amp_lip_y", "1"]
    arguments = [str(argument) for argument in arguments]
    assert main_evaluate.main(arguments) == 0
    printed = capsys.readouterr().out
    for words in ("Aperture correlation with the true clip", "Open/shut AUC, voice robot: 1 sent"):
        assert words in printed
    figures = json.loads(report.read_text())
    assert figures["options"] == ["--amp_lip_y=1"]
    assert [case["name"] for case in figures["cases"]] == ["talk", "robot_00000"]
    assert [case["seen"] for case in figures["cases"]] == [1.0, 1.0]
    assert set(figures["open_shut_auc"]) == {"video", "landmarks", "loudness"}
    with wave.open(str(videos / "talk.wav")) as sound:
        assert sound.getnframes() == 58 * 640
    assert len(rendered.redetect(videos / "talk.mp4")) == 58

    # Again: what is there is used, and what is not as it was is made anew.
    before = (videos / "talk.mp4").stat().st_mtime_ns
    other = (videos / "robot_00000.mp4").stat().st_mtime_ns
    (videos / "robot_00000.txt").write_text("made otherwise")
    assert main_evaluate.main(arguments) == 0
    assert capsys.readouterr().out == printed
    assert (videos / "talk.mp4").stat().st_mtime_ns == before
    assert (videos / "robot_00000.mp4").stat().st_mtime_ns > other
