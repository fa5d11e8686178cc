"""From videos to dumps: registration, resampling, offsets, splits, bad clips, shards, stops."""

import csv
import pickle
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import main_end2end
import main_prepare_data
from src.data import clip_stages, clips, dumps, splits, sync, tracks
from src.errors import InputError
from src.face import registration as faces
from src.face.topology import RIGID_POINTS
from src.io.audio import FRAME_RATE, SAMPLE_RATE, ffmpeg_path
from src.io.video import write_video
from tests.training.test_training import face
from thirdparty import fan

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


# ---- registration and resampling -----------------------------------------------------------------


def nodding(frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A face that turns and wanders in pixels (T, 68, 3), the turns and the standard face."""
    standard = face()
    angles = np.radians(8) * np.sin(np.arange(frames) / 5)
    turns = np.stack([cv2.Rodrigues(np.array([0.3 * a, a, 0.5 * a]))[0] for a in angles])
    track = 90 * standard @ np.swapaxes(turns, -1, -2) + [200, 150, 0]
    track[..., 0] += np.linspace(0, 30, frames)[:, None]
    return track, turns, standard


def test_registration_of_a_whole_clip_keeps_its_motion():
    track, _, standard = nodding(40)
    laid = faces.register_clip(track, standard)
    rigid = RIGID_POINTS
    # Its mean pose is the standard face's, as far as a mean of turned faces can be.
    assert np.abs(laid.mean(0)[rigid] - standard[rigid]).max() < 0.02
    # One scale for all: 30 pixels are a third of a unit.
    wandered = laid[-1, rigid].mean(0) - laid[0, rigid].mean(0)
    assert np.linalg.norm(wandered) == pytest.approx(30 / 90, rel=0.05)


def test_pose_and_shape_of_a_head_come_apart():
    track, turns, standard = nodding(40)
    posed = track.reshape(40, -1)
    course = faces.head_poses(posed, standard)
    assert course.rot_trans.shape == (40, 3, 4)
    assert course.rot_quat.shape == (40, 4)
    anchored = course.anchor_t_shape.reshape(40, 68, 3)
    np.testing.assert_allclose(anchored, np.repeat(standard[None], 40, 0), atol=1e-5)
    whole = np.concatenate([anchored, np.ones((40, 68, 1))], -1)
    np.testing.assert_allclose(
        whole @ np.swapaxes(course.rot_trans, -1, -2), track, rtol=1e-4, atol=1e-3
    )
    np.testing.assert_allclose(course.rot_trans[:, :, :3] / 90, turns, atol=1e-4)
    w, x, y, z = course.rot_quat.T
    np.testing.assert_allclose(1 - 2 * (y**2 + z**2), turns[:, 0, 0], atol=1e-5)
    np.testing.assert_allclose(2 * (x * y - w * z), turns[:, 0, 1], atol=1e-5)


def running(frames: int) -> np.ndarray:
    """(T, 68, 3) whose every coordinate is the time in seconds."""
    times = np.arange(frames) / clips.VIDEO_RATE
    return np.broadcast_to(times[:, None, None], (frames, 68, 3))


def test_resampling_to_the_rate_of_the_sound():
    track, first = tracks.at_audio_rate(running(50), 0.0, 2 * SAMPLE_RATE)
    assert (len(track), first) == (125, 0)
    # After the last frame, at 1.96 s, the picture stays.
    expected = np.minimum(np.arange(125) / FRAME_RATE, 1.96)
    np.testing.assert_allclose(track[:, 5, 1], expected)


def test_resampling_in_step_with_the_sound():
    # The picture leads by 0.2 s: as much sound is dropped, 1.8 s are left.
    track, first = tracks.at_audio_rate(running(50), 0.2, 2 * SAMPLE_RATE)
    assert first == 0.2 * SAMPLE_RATE
    assert len(track) == int(1.8 * FRAME_RATE)
    assert track[0, 0, 0] == 0
    # It lags: picture is dropped.
    track, first = tracks.at_audio_rate(running(50), -0.2, 2 * SAMPLE_RATE)
    assert first == 0
    assert len(track) == int(1.8 * FRAME_RATE)
    np.testing.assert_allclose(track[:3, 0, 0], 0.2 + np.arange(3) / FRAME_RATE)


def test_gaps_are_interpolated_and_too_many_refused():
    track = np.array(running(50))
    track[10:14] = np.nan
    np.testing.assert_allclose(tracks.clean_track(track), running(50), atol=1e-9)
    track[20:30] = np.nan
    assert tracks.clean_track(track) is None


# ---- offsets -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def babble() -> np.ndarray:
    """A gap of lips, at 500 points a second, that changes a few times a second: 8 s."""
    noise = np.random.default_rng(3).normal(size=4000)
    smooth = np.convolve(noise, np.hanning(60), "same")
    return smooth / smooth.std()


@pytest.mark.parametrize("lead", range(-sync.LONGEST_SHIFT, sync.LONGEST_SHIFT + 1))
def test_a_known_shift_is_found_exactly(babble, lead):
    """The picture shows at t what is heard `lead` frames later."""
    times = np.arange(500, 3500) / 500
    knots = np.arange(len(babble)) / 500
    picture = np.interp(np.arange(times[0], times[-1], 1 / 25) + lead / 25, knots, babble)
    sound = np.interp(np.arange(times[0], times[-1], 1 / FRAME_RATE), knots, babble)
    rng = np.random.default_rng(0)
    noisy = 3 + 0.1 * picture + 0.03 * rng.normal(size=len(picture))
    found = sync.estimate_offset(noisy, sound)
    assert found.frames == lead
    assert found.correlation > 0.9


def test_the_sign_is_that_of_the_manifest(babble):
    """A picture that leads by 4 frames: what is dropped from the sound puts both in step."""
    wav_times = np.arange(6 * SAMPLE_RATE) / SAMPLE_RATE
    knots = np.arange(len(babble)) / 500
    heard = np.interp(wav_times + 1.0, knots, babble)  # the sound, as a gap a sample
    seen = np.interp(np.arange(150) / 25 + 1.0 + 4 / 25, knots, babble)
    predicted = heard[:: SAMPLE_RATE * 2 // 125]
    offset = sync.estimate_offset(seen, predicted).frames / clips.VIDEO_RATE
    track = np.broadcast_to(seen[:, None, None], (150, 68, 3))
    track, first = tracks.at_audio_rate(track, offset, len(heard))
    in_step = heard[first:][:: SAMPLE_RATE * 2 // 125][: len(track)]
    assert np.corrcoef(track[:, 0, 0], in_step)[0, 1] > 0.98


def test_lips_that_say_nothing_are_not_in_sync(babble):
    assert np.isnan(sync.estimate_offset(np.zeros(100), babble[:250]).correlation)
    assert np.isnan(sync.estimate_offset(babble[:20], babble[:50]).correlation)
    other = np.random.default_rng(9).normal(size=200)
    found = sync.estimate_offset(np.convolve(other, np.hanning(6), "same"), babble[::8][:500])
    assert found.correlation < sync.least_correlation(8.0) < sync.least_correlation(3.0) == 0.5


# ---- speakers and splits -------------------------------------------------------------------------


def test_speakers_by_manifest_folder_or_name(tmp_path):
    def names(*paths: str) -> dict[str, str]:
        for path in tmp_path.rglob("*.mp4"):
            path.unlink()
        for path in paths:
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).touch()
        return {one.path.name: one.speaker for one in clips.find_clips(tmp_path)}

    assert names("ann/1.mp4", "bob/deep_2.mp4") == {"1.mp4": "ann", "deep_2.mp4": "bob"}
    assert names("ann_1.mp4", "bob-2.mp4") == {"ann_1.mp4": "ann", "bob-2.mp4": "bob"}
    assert names("ann_1.mp4", "x.mp4") == dict.fromkeys(("ann_1.mp4", "x.mp4"), tmp_path.name)
    (tmp_path / "manifest.csv").write_text(
        "file,speaker,speech_synced,av_offset_frames25\nann_1.mp4,eve,0,5\nx.mp4,,,\n"
    )
    first, second = clips.find_clips(tmp_path)
    assert (first.speaker, first.synced, first.offset) == ("eve", False, 0.2)
    assert (second.speaker, second.synced, second.offset) == (tmp_path.name, True, 0.0)
    (tmp_path / "manifest.csv").write_text("file\ngone.mp4\n")
    with pytest.raises(InputError, match="manifest.csv: names gone.mp4, which is not there"):
        clips.find_clips(tmp_path)
    (tmp_path / "manifest.csv").write_text("name\nx.mp4\n")
    with pytest.raises(InputError, match="no column called file"):
        clips.find_clips(tmp_path)


def test_no_speaker_is_in_two_splits():
    speakers = {f"clip{i}": f"who{i % 23}" for i in range(200)}
    held_out = splits.draw(speakers)
    assert len(held_out.val) == len(held_out.test) == 2
    where: dict[str, set[str]] = {}
    for clip, speaker in speakers.items():
        where.setdefault(speaker, set()).add(held_out.split_of(speaker, clip))
    assert all(len(found) == 1 for found in where.values())
    assert held_out == splits.draw(dict(reversed(speakers.items())))


def test_three_speakers_are_enough_and_two_are_split_by_clips(caplog):
    held_out = splits.draw({"a": "x", "b": "y", "c": "z"})
    assert {len(held_out.val), len(held_out.test)} == {1}
    assert not caplog.messages
    held_out = splits.draw({f"clip{i}": "one" for i in range(30)})
    assert (len(held_out.val), len(held_out.test)) == (3, 3)
    assert "clips are held out, not people" in caplog.text


def test_a_cut_is_seen_and_a_lively_head_let_pass():
    track = np.repeat(100 * face()[None], 50, 0)
    eyes = np.linalg.norm(track[0, 45, :2] - track[0, 36, :2])
    wav = (3000 * np.sin(np.arange(32000) / 9)).astype(np.int16)
    track[20:, :, 0] += 0.9 * eyes
    assert clips.problem_of({"landmarks": track, "wav": wav}) == ""
    track[30:, :, 1] -= 1.1 * eyes
    assert clips.problem_of({"landmarks": track, "wav": wav}).startswith("the face jumps")
    track[29:32] = np.nan  # and where nobody was seen meanwhile, it may go farther
    assert clips.problem_of({"landmarks": track, "wav": wav}) == ""
    assert clips.problem_of({"landmarks": track, "wav": wav // 4000}) == "silence"


def test_those_in_sync_are_drawn(tmp_path):
    times = np.arange(50 * SAMPLE_RATE // 25)
    track = np.repeat(100 * face()[None], 50, 0)
    wav = (3000 * np.sin(times / 9)).astype(np.int16)
    for name, synced in zip("abcdef", (1, 1, 1, 0, 0, 0), strict=True):
        clip = {"landmarks": track, "wav": wav, "speaker": name, "offset": 0.0}
        dumps.save_npz(tmp_path / "clips" / f"{name}1.npz", synced=bool(synced), **clip)
    assert clip_stages.speakers_to_draw_from(tmp_path) == {"a1": "a", "b1": "b", "c1": "c"}
    dumps.save_npz(tmp_path / "clips" / "a1.npz", synced=False, **(clip | {"speaker": "a"}))
    assert len(clip_stages.speakers_to_draw_from(tmp_path)) == 6


def test_what_was_decided_stays(tmp_path):
    def never() -> dict[str, str]:
        raise AssertionError("asked")

    assert not splits.decide(tmp_path, [], [], lambda: {"a": "a", "b": "a"}).test
    first = splits.decide(tmp_path, [], [], lambda: {n: n for n in "abcde"})
    assert first.test
    assert splits.decide(tmp_path, [], [], never) == first
    named = splits.decide(tmp_path, ["q"], ["r"], never)
    assert named == splits.HeldOut(frozenset("q"), frozenset("r"))
    assert splits.decide(tmp_path, [], [], never) == named
    with pytest.raises(InputError, match="q cannot be in both"):
        splits.decide(tmp_path, ["q"], ["q"], never)
    (tmp_path / "splits.json").write_text("[]")
    with pytest.raises(InputError, match="splits.json: not the splits"):
        splits.decide(tmp_path, [], [], never)


# ---- whole videos --------------------------------------------------------------------------------


def ffmpeg(*arguments) -> None:
    command = [ffmpeg_path(), "-nostdin", "-loglevel", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Three people who speak, one of them with late sound, and what can be wrong with a clip."""
    folder = tmp_path_factory.mktemp("videos")
    voice = folder / "voice.wav"
    ffmpeg("-i", EXAMPLES / "welcome_slt.wav", "-t", 3, voice)
    talk = folder / "ann_talks.mp4"
    options = ["--jpg", EXAMPLES / "grace_hopper.jpg", "--wav", voice, "--max_size", 256]
    assert main_end2end.main([str(one) for one in (*options, "--out", talk)]) == 0
    ffmpeg("-i", talk, "-af", "adelay=200", "-t", 3, "-c:v", "copy", folder / "bob_late.mp4")
    ffmpeg("-i", talk, "-vf", "hflip", folder / "cat_turned.mp4")
    ffmpeg("-i", talk, "-an", "-c", "copy", folder / "dan_silent.mp4")
    ffmpeg("-i", talk, "-t", 1, folder / "eve_brief.mp4")
    ffmpeg("-i", talk, "-vf", "split[a][b];[a][b]hstack", folder / "fay_two.mp4")
    empty = (np.full((64, 64, 3), 90, np.uint8) for _ in range(60))
    write_video(folder / "gus_empty.mp4", empty, 25, voice)
    (folder / "hal_broken.mp4").write_bytes(b"not a video")
    voice.unlink()
    return folder


GOOD = ("ann_talks", "bob_late", "cat_turned")


@pytest.fixture(scope="module")
def prepared(videos, tmp_path_factory):
    """What one command makes of them."""
    root = tmp_path_factory.mktemp("prepared")
    arguments = ["--root_dir", root, "--videos", videos, "--jobs", 1]
    assert main_prepare_data.main([str(one) for one in arguments]) == 0
    return root


def rows_of(root: Path) -> dict[str, dict[str, str]]:
    with (root / "clips.csv").open(newline="") as file:
        return {row["clip"]: row for row in csv.DictReader(file)}


def test_bad_clips_are_listed_with_the_reason(prepared):
    problems = {name: row["problem"] for name, row in rows_of(prepared).items() if row["problem"]}
    assert problems == {
        "dan_silent": "no sound",
        "eve_brief": "too short: 1.0 s, at least 1.5",
        "fay_two": "several people in 100% of the frames",
        "gus_empty": "too few frames with a face: 0%, at least 80%",
        "hal_broken": "not a video that can be read",
    }


def test_offsets_are_found_in_the_pixels(prepared):
    rows = rows_of(prepared)
    found = {name: int(rows[name]["av_offset_frames25"]) for name in GOOD}
    assert found["bob_late"] - found["ann_talks"] == 5  # 200 ms
    assert abs(found["ann_talks"]) <= 1
    assert abs(found["cat_turned"] - found["ann_talks"]) <= 1
    assert all(float(rows[name]["offset_corr"]) > 0.7 for name in GOOD)
    assert all(rows[name]["speech_synced"] == "1" for name in GOOD)


def test_dumps_of_one_command_have_no_leaks_and_the_official_form(prepared):
    rows, seen = rows_of(prepared), {}
    for name in ("autovc_retrain_mel", "speaker_aware"):
        speakers = {}
        for split in splits.SPLITS:
            found = dumps.read_clips(prepared, split, name)
            speakers[split] = {clip.name.split("/")[0] for clip in found}
            for clip in found:
                seen.setdefault(name, set()).add(clip.name.split("/")[1].split("+")[0])
                assert clip.features.shape == (len(clip.landmarks), 80)
                assert rows[clip.name.split("/")[1].split("+")[0]]["split"] == split
        assert sorted(map(len, speakers.values())) == [1, 1, 1]
        assert len(set.union(*speakers.values())) == 3
        assert seen[name] == set(GOOD)
    for split in splits.SPLITS:
        with (prepared / "dump" / f"speaker_aware_{split}_gaze.pickle").open("rb") as file:
            gaze = pickle.load(file)
        for clip, course in zip(
            dumps.read_clips(prepared, split, "speaker_aware"),
            zip(*gaze.values(), strict=True),
            strict=True,
        ):
            frames = len(clip.features)
            moved, quaternion, shape = course
            assert moved.shape == (frames, 3, 4)
            assert quaternion.shape == (frames, 4)
            whole = np.concatenate([shape.reshape(frames, 68, 3), np.ones((frames, 68, 1))], -1)
            posed = whole @ np.swapaxes(moved, -1, -2)
            np.testing.assert_allclose(posed.reshape(frames, -1), clip.landmarks, atol=1e-4)
    # The late sound was cut: 3 s less 5 frames.
    (late,) = (
        clip
        for split in splits.SPLITS
        for clip in dumps.read_clips(prepared, split, "speaker_aware")
        if "bob" in clip.name
    )
    offset = int(rows["bob_late"]["av_offset_frames25"])
    assert len(late.features) == pytest.approx((3 - offset / 25) * FRAME_RATE, abs=2)


def arrays_of(folder: Path) -> dict[str, dict[str, bytes]]:
    found = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as data:
            found[path.stem] = {key: data[key].tobytes() for key in data.files}
    return found


def test_shards_of_which_one_was_killed_together_are_the_whole(prepared, videos, tmp_path):
    clips_there = tmp_path / "clips"

    def times() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in clips_there.glob("*.npz")}

    arguments = ["--root_dir", tmp_path, "--videos", videos, "--jobs", 1, "--shard", "1/2"]
    arguments = [str(argument) for argument in arguments]
    command = [sys.executable, "-W", "ignore", "main_prepare_data.py", *arguments]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 120
        while not times() and time.monotonic() < until and child.poll() is None:
            time.sleep(0.02)
    finally:
        child.kill()
        child.wait()
    finished = times()
    assert 1 <= len(finished) < 4
    assert main_prepare_data.main(arguments) == 0
    first = times()
    assert len(first) == 4
    assert {name: first[name] for name in finished} == finished
    assert not (tmp_path / "clips.csv").exists()

    assert main_prepare_data.main([*arguments[:-1], "2/2"]) == 0
    assert len(times()) == 8
    assert main_prepare_data.main(arguments[:-2]) == 0
    for folder in ("clips", "analysed"):
        assert arrays_of(tmp_path / folder) == arrays_of(prepared / folder)
    for name in ("clips.csv", "splits.json"):
        assert (tmp_path / name).read_text() == (prepared / name).read_text()
    for path in (prepared / "dump").glob("*.pickle"):
        assert (tmp_path / "dump" / path.name).read_bytes() == path.read_bytes()


def test_a_detector_that_cannot_run_ends_it_in_one_line(videos, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    fan.weights_folder().mkdir(parents=True)
    for name in fan.WEIGHT_FILES:
        (fan.weights_folder() / name).write_bytes(b"something else")
    arguments = ["--root_dir", tmp_path / "root", "--videos", videos, "--jobs", 1]
    arguments += ["--landmark_detector", "fan", "--step", "clips"]
    assert main_prepare_data.main([str(one) for one in arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("the fan landmark detector cannot run: ")
    assert said.count("\n") == 1
    assert not list((tmp_path / "root").rglob("*.npz"))


def test_clips_of_one_name_are_refused(tmp_path):
    sources = [clips.ClipSource(Path(f"{who}/talk.mp4"), who) for who in "ab"]
    with pytest.raises(InputError, match="a/talk.mp4 and b/talk.mp4"):
        clip_stages.work_on_clips(sources, tmp_path, ("track",), 1)
    arrays = {"landmarks": np.zeros((0, 68, 3)), "wav": np.zeros(0, np.int16)}
    known = {"speaker": "a", "synced": True, "offset": 0.0}
    dumps.save_npz(tmp_path / "clips" / "talk.npz", **arrays, **known)
    with pytest.raises(InputError, match="b/talk.mp4: .*talk.npz is a clip of a, not b"):
        clip_stages.work_on_clips(sources[1:], tmp_path, ("track",), 1)
    (tmp_path / "clips" / "talk.npz").write_bytes(b"")
    with pytest.raises(InputError, match="talk.npz: not a tracked clip"):
        clip_stages.work_on_clips(sources[:1], tmp_path, ("track",), 1)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "-1/2"])
def test_a_shard_is_a_part_of_a_number(tmp_path, text, capsys):
    with pytest.raises(SystemExit):
        main_prepare_data.parse(["--root_dir", str(tmp_path), f"--shard={text}"])
    assert "is not I/N with I from 1 to N" in capsys.readouterr().err


def test_only_clips_are_sharded(tmp_path, capsys):
    arguments = ["--root_dir", str(tmp_path), "--step", "faces", "--shard", "1/2"]
    assert main_prepare_data.main(arguments) == 2
    assert capsys.readouterr().err == "--shard: step faces is done for all clips together\n"
