"""The data preparation as a whole: from videos to dumps, in shards, after a stop."""

import csv
import dataclasses
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import main_end2end
import main_prepare_data
from src.data import dumps, settings, splits, steps
from src.data.settings import Preparation
from src.errors import InputError
from src.io.audio import FRAME_RATE
from src.io.files import write_arrays
from src.io.find_ffmpeg import ffmpeg_path
from src.io.video import write_video
from thirdparty import fan

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


def ffmpeg(*arguments) -> None:
    command = [ffmpeg_path(), "-nostdin", "-loglevel", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Three speakers, one of them with late audio, and everything that can be wrong with a clip."""
    folder = tmp_path_factory.mktemp("videos")
    recording = folder / "voice.wav"
    ffmpeg("-i", EXAMPLES / "welcome_slt.wav", "-t", 3, recording)
    talk = folder / "ann_talks.mp4"
    options = ["--jpg", EXAMPLES / "grace_hopper.jpg", "--wav", recording, "--max_size", 256]
    assert main_end2end.main([str(one) for one in (*options, "--out", talk)]) == 0
    ffmpeg("-i", talk, "-af", "adelay=200", "-t", 3, "-c:v", "copy", folder / "bob_late.mp4")
    ffmpeg("-i", talk, "-vf", "hflip", folder / "cat_turned.mp4")
    ffmpeg("-i", talk, "-an", "-c", "copy", folder / "dan_silent.mp4")
    ffmpeg("-i", talk, "-t", 1, folder / "eve_brief.mp4")
    ffmpeg("-i", talk, "-vf", "split[a][b];[a][b]hstack", folder / "fay_two.mp4")
    empty = (np.full((64, 64, 3), 90, np.uint8) for _ in range(60))
    write_video(folder / "gus_empty.mp4", empty, 25, recording)
    (folder / "hal_broken.mp4").write_bytes(b"not a video")
    recording.unlink()
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
        "dan_silent": "no audio",
        "eve_brief": "too short: 1.0 s, at least 1.5",
        "fay_two": "several people in 100% of the frames",
        "gus_empty": "too few frames with a face: 0%, at least 80%",
        "hal_broken": "not a video that can be read",
    }


def test_offsets_are_measured(prepared):
    rows = rows_of(prepared)
    found = {name: int(rows[name]["av_offset_frames25"]) for name in GOOD}
    assert found["bob_late"] - found["ann_talks"] == 5  # 200 ms
    assert abs(found["ann_talks"]) <= 1
    assert abs(found["cat_turned"] - found["ann_talks"]) <= 1
    assert all(float(rows[name]["offset_corr"]) > 0.7 for name in GOOD)
    assert all(rows[name]["speech_synced"] == "1" for name in GOOD)


def test_dumps_of_one_command_have_no_leaks_and_the_official_form(prepared):
    rows, found_in = rows_of(prepared), {}
    for name in ("autovc_retrain_mel", "speaker_aware"):
        speakers = {}
        for split in splits.SPLITS:
            found = dumps.read_clips(prepared, split, name)
            speakers[split] = {clip.name.split("/")[0] for clip in found}
            for clip in found:
                found_in.setdefault(name, set()).add(clip.name.split("/")[1].split("+")[0])
                assert clip.features.shape == (len(clip.landmarks), 80)
                assert rows[clip.name.split("/")[1].split("+")[0]]["split"] == split
        assert sorted(map(len, speakers.values())) == [1, 1, 1]
        assert len(set.union(*speakers.values())) == 3
        assert found_in[name] == set(GOOD)
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
    # The late audio was cut: 3 s less 5 frames.
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
    for path in sorted(folder.glob("[!.]*.npz")):
        with np.load(path) as data:
            found[path.stem] = {key: data[key].tobytes() for key in data.files}
    return found


def test_shards_after_a_kill_give_the_same_files(prepared, videos, tmp_path):
    clips_there = tmp_path / "clips"

    def times() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in clips_there.glob("[!.]*.npz")}

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
    message = capsys.readouterr().err
    assert message.startswith("the fan landmark detector cannot run: ")
    assert message.count("\n") == 1
    assert not list((tmp_path / "root").rglob("*.npz"))


def test_clips_of_one_name_are_refused(tmp_path):
    for who in "ab":
        (tmp_path / who).mkdir()
        (tmp_path / who / "talk.mp4").touch()
    both = Preparation(root_dir=tmp_path, videos=(tmp_path / "a", tmp_path / "b"), jobs=1)
    with pytest.raises(InputError, match="a/talk.mp4 and .*b/talk.mp4"):
        steps.process_clips(both)
    write_arrays(tmp_path / "clips" / "talk.npz", speaker=np.array("a"))
    second = dataclasses.replace(both, videos=both.videos[1:])
    with pytest.raises(InputError, match="b/talk.mp4: .*talk.npz is a clip of a, not b"):
        steps.process_clips(second)
    (tmp_path / "clips" / "talk.npz").write_bytes(b"")
    with pytest.raises(InputError, match="talk.npz: not a NumPy file"):
        steps.process_clips(second)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "-1/2"])
def test_a_shard_is_a_part_of_a_number(tmp_path, text, capsys):
    assert main_prepare_data.main(["--root_dir", str(tmp_path), f"--shard={text}"]) == 2
    assert "is not I/N with I from 1 to N" in capsys.readouterr().err


def test_only_clips_are_sharded(tmp_path, capsys):
    arguments = ["--root_dir", str(tmp_path), "--step", "faces", "--shard", "1/2"]
    assert main_prepare_data.main(arguments) == 2
    assert capsys.readouterr().err == "--shard: step faces works on all clips together\n"


def test_every_step_has_a_function():
    assert tuple(steps.STEPS) == settings.STEPS
