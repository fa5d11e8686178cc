"""Clips: their speakers, and why some are left out."""

import numpy as np
import pytest

from src.data import clips
from src.errors import InputError
from src.io.audio import SAMPLE_RATE
from src.io.files import write_arrays
from tests.data.samples import face


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
    (tmp_path / "manifest.csv").write_text("file,speaker,speech_synced\nann_1.mp4,eve,0\nx.mp4,,\n")
    first, second = clips.find_clips(tmp_path)
    assert (first.speaker, first.synced) == ("eve", False)
    assert (second.speaker, second.synced) == (tmp_path.name, True)
    (tmp_path / "manifest.csv").write_text("file\ngone.mp4\n")
    with pytest.raises(InputError, match="manifest.csv: names gone.mp4, which does not exist"):
        clips.find_clips(tmp_path)
    (tmp_path / "manifest.csv").write_text("name\nx.mp4\n")
    with pytest.raises(InputError, match="no column called file"):
        clips.find_clips(tmp_path)


def clip(landmarks: np.ndarray, wav: np.ndarray) -> dict[str, np.ndarray]:
    known = {"people": np.array(0.0), "unreadable": np.array("")}
    return {"landmarks": landmarks, "wav": wav, **known}


def test_a_cut_is_a_problem_and_a_lively_head_is_not():
    track = np.repeat(100 * face()[None], 50, 0)
    eyes = np.linalg.norm(track[0, 45, :2] - track[0, 36, :2])
    wav = (3000 * np.sin(np.arange(32000) / 9)).astype(np.int16)
    track[20:, :, 0] += 0.9 * eyes
    assert clips.clip_problem(clip(track, wav)) == ""
    track[30:, :, 1] -= 1.1 * eyes
    assert clips.clip_problem(clip(track, wav)).startswith("the face jumps")
    track[29:32] = np.nan  # over a gap it may move farther
    assert clips.clip_problem(clip(track, wav)) == ""
    assert clips.clip_problem(clip(track, wav // 4000)) == "silence"


def test_speakers_in_sync_are_drawn(tmp_path):
    times = np.arange(50 * SAMPLE_RATE // 25)
    track = np.repeat(100 * face()[None], 50, 0)
    wav = (3000 * np.sin(times / 9)).astype(np.int16)
    for name, synced in zip("abcdef", (1, 1, 1, 0, 0, 0), strict=True):
        arrays = clip(track, wav) | {"speaker": name}
        write_arrays(tmp_path / "clips" / f"{name}1.npz", synced=bool(synced), **arrays)
    assert clips.speakers_to_draw_from(tmp_path) == {"a1": "a", "b1": "b", "c1": "c"}
    write_arrays(tmp_path / "clips" / "a1.npz", synced=False, **(arrays | {"speaker": "a"}))
    assert len(clips.speakers_to_draw_from(tmp_path)) == 6
