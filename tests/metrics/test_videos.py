"""The evaluation of videos: what was rendered is found again, and the whole command."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
from matplotlib import cbook

import main_evaluate
from src.face.detection import detect_landmarks, track_landmarks
from src.face.topology import EYELID_PAIRS
from src.io.audio import SAMPLE_RATE
from src.io.video import read_frames, write_video
from src.metrics import videos
from src.metrics.aperture import aperture, aperture_correlation
from src.metrics.clips import TrackedClip
from src.metrics.head_motion import image_curves
from src.metrics.registry import measure
from src.metrics.report import Report
from src.metrics.settings import EvaluationSettings
from src.render.warp.portrait import WarpRenderer
from tests.metrics.faces import open_eyes, simple_face


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
    tone = (3000 * np.sin(np.arange(frames * 640) / 9)).astype(np.int16)
    soundfile.write(folder / "tone.wav", tone, SAMPLE_RATE)
    frames = WarpRenderer(hopper, still).frames(track)
    write_video(folder / "talk.mp4", frames, 25, folder / "tone.wav")
    return folder / "talk.mp4", track


def redetected(path: Path) -> np.ndarray:
    return np.array([*track_landmarks(read_frames(path, 25.0))])


def test_what_was_rendered_is_found_again(speaking):
    path, reference = speaking
    found = redetected(path)
    assert found.shape == reference.shape
    assert np.isfinite(found).all()
    assert aperture_correlation(aperture(found), aperture(reference)) > 0.97
    motion, expected = (
        measure("video", track) | measure("video head", image_curves(track))
        for track in (found, reference)
    )
    assert motion["blinks"] == expected["blinks"] == (1, 2.4)
    assert motion["nose"] == pytest.approx(expected["nose"], rel=0.2)
    assert motion["roll"] < 0.5


@pytest.fixture(scope="module")
def root(speaking, tmp_path_factory):
    """A folder as main_prepare_data.py leaves it: one clip and one sentence, held out."""
    folder = tmp_path_factory.mktemp("root")
    (folder / "clips").mkdir()
    (folder / "synthetic").mkdir()
    track = redetected(speaking[0])
    rng = np.random.default_rng(0)
    wav = (2000 * rng.normal(size=len(track) * 640)).astype(np.int16)
    known = {"landmarks": track.astype(np.float32), "wav": wav}
    grace = {**known, "speaker": "grace"}
    np.savez(folder / "clips" / "talk.npz", synced=True, offset=0.08, **grace)
    np.savez(folder / "clips" / "dubbed.npz", synced=False, offset=0.0, **grace)
    np.savez(folder / "clips" / "other.npz", synced=True, offset=0.0, **known, speaker="alan")
    np.savez(
        folder / "synthetic" / "robot_00000.npz",
        wav=wav[:16000],
        speaker="robot",
        phones=np.array(["pau", "m", "aa", "p"]),
        times=np.array([[0, 0.2], [0.2, 0.4], [0.4, 0.7], [0.7, 0.9]]),
    )
    (folder / "splits.json").write_text('{"val": [], "test": ["grace", "robot"]}')
    return folder


@pytest.fixture(scope="module")
def settings(root, speaking):
    return EvaluationSettings(root=root, videos=(speaking[0].parent,))


@pytest.mark.parametrize(
    ("offset", "samples", "frames", "heard"),
    [
        (0.0, 16000, slice(0, 25), slice(0, 16000)),
        (0.08, 16000, slice(0, 23), slice(1280, 16000)),  # the audio comes later
        (-0.12, 16000, slice(3, 25), slice(0, 14080)),
        (0.0, 6500, slice(0, 10), slice(0, 6400)),
    ],
)
def test_audio_and_video_are_aligned(offset, samples, frames, heard):
    track, wav = np.arange(25), np.arange(samples)
    clip = TrackedClip("talk", Path("talk.mp4"), track, wav, offset)
    found = videos.synchronised(clip)
    assert np.array_equal(found[0], track[frames]) and np.array_equal(found[1], wav[heard])


@pytest.fixture(scope="module")
def case(settings):
    (case,) = videos.clip_cases(settings)
    return case


def test_a_clip_of_the_split_test_becomes_a_case(case, hopper):
    assert (case.name, case.phones) == ("talk", None)
    assert case.reference.shape == (58, 68, 3)  # the video leads by two frames
    assert len(case.wav) == 58 * 640
    assert case.portrait.shape == hopper.shape
    assert aperture(case.portrait_landmarks[None])[0] < 0.02
    assert aperture(detect_landmarks(case.portrait, "mediapipe")[None])[0] < 0.02


def test_a_perfect_and_a_motionless_video(case):
    lips, heads = videos.evaluate_case(case, {"video": case.reference})
    assert lips["video"]["correlation"] == pytest.approx(1.0)
    assert heads["clips"]["face found"] == 100
    still = np.repeat(case.reference[:1], len(case.reference), 0)
    motionless, _ = videos.evaluate_case(case, {"video": still})
    assert motionless["video"]["correlation"] == 0
    report = Report({})
    videos.add_tables(report, {"perfect": lips, "motionless": motionless}, {"perfect": heads})
    assert report.figures["lips"]["video"]["correlation"] == pytest.approx(0.5)


def test_the_landmarks_of_a_video_are_measured_at_their_rate(case):
    at_audio_rate = np.arange(145) * 25 / 62.5
    flat = case.reference.reshape(58, -1)
    finer = np.stack([np.interp(at_audio_rate, np.arange(58), column) for column in flat.T], 1)
    tracks = {"video": case.reference, "landmarks": finer.reshape(-1, 68, 3)}
    found, _ = videos.evaluate_case(case, tracks)
    assert found["landmarks"]["correlation"] > 0.99


def test_speech_is_measured_by_its_phones(settings):
    (case,) = videos.speech_cases(settings)
    assert case.phones[1] == ("m", 0.2, 0.4)
    track = open_eyes(simple_face(25), 6.0)
    track[10:18, 66, 1] += 12  # 0.40 to 0.68 s: the vowel
    found, heads = videos.evaluate_case(case, {"video": track})
    opened, shut = found["video"]["AUC"]
    assert opened == pytest.approx([12 / 60])
    assert shut == pytest.approx([0.0, 0.0])
    report = Report({})
    videos.add_tables(report, {"robot_00000": found}, {"robot_00000": heads})
    assert report.figures["lips"]["video"]["AUC"] == 1.0


def test_the_ceiling_is_high(case):
    track = videos.ceiling_landmarks(case, None)
    found, _ = videos.evaluate_case(case, {"video": track, "ceiling": track})
    assert found["ceiling"]["correlation"] > 0.95


def test_loudness_is_the_log_of_the_rms():
    times = np.arange(16000) / 16000
    wav = 8000 * np.sqrt(2) * np.sin(2 * np.pi * 400 * times)
    wav[8000:] /= 10
    wav[12800:] = 0
    found = videos.loudness_curve(wav.astype(np.int16))
    assert len(found) == 25
    np.testing.assert_allclose(found[1:12], np.log10(8000), atol=1e-3)
    np.testing.assert_allclose(found[13:19], np.log10(800), atol=1e-3)
    np.testing.assert_allclose(found[21:], 1.0)


# ---- the command ---------------------------------------------------------------------------------


def refusal(capsys, *arguments) -> str:
    assert main_evaluate.main([str(argument) for argument in arguments]) == 2
    return capsys.readouterr().err


def test_bad_input_ends_in_one_line(root, tmp_path, capsys):
    nowhere = tmp_path / "nowhere"
    assert refusal(capsys, "--root_dir", nowhere) == f"{nowhere}: no such folder\n"
    options = ("--root_dir", root, "--measure", "videos", "--speakers")
    message = refusal(capsys, *options, "grace", "nobody", "--voices")
    assert message == "--videos none given: no video of the tracked clip talk\n"
    message = refusal(capsys, *options, "nobody", "--voices")
    assert message == f"{root / 'clips'}: no usable clip of nobody\n"
    message = refusal(capsys, *options, "--voices")
    assert message.startswith(f"{root}: no clips or voices to evaluate")
    message = refusal(capsys, *options, "--voices", "nobody")
    assert message == f"{root / 'synthetic'}: no speech of nobody\n"
    message = refusal(capsys, "--root_dir", root, "--measure", "images")
    assert message == "--videos none given: no video of the tracked clip dubbed\n"
    (tmp_path / "file").write_text("")
    message = refusal(capsys, *options, "--out_dir", tmp_path / "file" / "folder")
    assert "cannot be written" in message


def test_whole_command(root, speaking, tmp_path, capsys):
    folder = tmp_path / "videos"
    arguments = ["--root_dir", root, "--videos", speaking[0].parent]
    arguments += ["--out_dir", folder, "--amp_lip_y", "1"]
    arguments = [str(argument) for argument in arguments]
    assert main_evaluate.main(arguments) == 0
    printed = capsys.readouterr().out
    table = (folder / "videos.md").read_text()
    assert printed.endswith(table)
    assert "Lips, 1 clips; AUC: 1 sentences, 1 open vowels, 2 p b m:" in table
    figures = json.loads((folder / "videos.json").read_text())
    assert figures["settings"]["amp_lip_y"] == 1
    assert list(figures["lips of each"]) == ["talk", "robot_00000"]
    assert [figures["heads"][kind]["face found"] for kind in ("clips", "speech")] == [100, 100]
    assert set(figures["lips"]) == {"video", "landmarks", "loudness"}
    assert len(redetected(folder / "talk.mp4")) == 58

    # Again: a video is used again, unless it was rendered from something else.
    before = (folder / "talk.mp4").stat().st_mtime_ns
    other = (folder / "robot_00000.mp4").stat().st_mtime_ns
    with np.load(folder / "robot_00000.npz") as kept:
        np.savez(folder / "robot_00000.npz", **{**kept, "stamp": np.array("something else")})
    assert main_evaluate.main(arguments) == 0
    assert (folder / "videos.md").read_text() == table
    assert (folder / "talk.mp4").stat().st_mtime_ns == before
    assert (folder / "robot_00000.mp4").stat().st_mtime_ns > other
