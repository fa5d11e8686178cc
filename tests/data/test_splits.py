"""Splits of speakers."""

from pathlib import Path

import numpy as np
import pytest

from src.data import splits
from src.data.landmark_dumps import Passage
from src.errors import InputError


def test_held_out_speakers_are_in_one_split_only():
    held_out = splits.HeldOut(frozenset({"a"}), frozenset({"b"}))
    assert [held_out.split_of(s) for s in "abc"] == ["val", "test", "train"]


def test_all_synthetic_speakers_of_a_held_out_voice_are_held_out():
    held_out = splits.HeldOut(frozenset(), frozenset({"espeak"}))
    spoken = Passage(Path("root/synthetic/espeak_00001.npz"), "en-us+m1", np.zeros((1, 204)))
    filmed = Passage(Path("root/clips/espeak_00001.npz"), "ann", np.zeros((1, 204)))
    assert held_out.split_of(*spoken.names) == "test"
    assert held_out.split_of(*filmed.names) == "train"


def test_no_speaker_is_in_two_splits():
    speakers = {f"clip{i}": f"who{i % 23}" for i in range(200)}
    held_out = splits.draw_splits(speakers)
    assert len(held_out.val) == len(held_out.test) == 2
    where: dict[str, set[str]] = {}
    for clip, speaker in speakers.items():
        where.setdefault(speaker, set()).add(held_out.split_of(speaker, clip))
    assert all(len(found) == 1 for found in where.values())
    assert held_out == splits.draw_splits(dict(reversed(speakers.items())))


def test_three_speakers_are_enough_and_two_are_split_by_clips(caplog):
    held_out = splits.draw_splits({"a": "x", "b": "y", "c": "z"})
    assert {len(held_out.val), len(held_out.test)} == {1}
    assert not caplog.messages
    held_out = splits.draw_splits({f"clip{i}": "one" for i in range(30)})
    assert (len(held_out.val), len(held_out.test)) == (3, 3)
    assert "clips are held out, not people" in caplog.text


def test_splits_are_kept(tmp_path, monkeypatch):
    def draw_from(names: str) -> None:
        monkeypatch.setattr(splits, "speakers_to_draw_from", lambda root: {n: n for n in names})

    draw_from("ab")
    assert not splits.choose_splits(tmp_path).test
    draw_from("abcde")
    first = splits.choose_splits(tmp_path)
    assert first.test
    draw_from("fghij")
    assert splits.choose_splits(tmp_path) == first
    named = splits.choose_splits(tmp_path, ["q"], ["r"])
    assert named == splits.HeldOut(frozenset("q"), frozenset("r"))
    assert splits.choose_splits(tmp_path) == named
    with pytest.raises(InputError, match="q cannot be in both"):
        splits.choose_splits(tmp_path, ["q"], ["q"])
    (tmp_path / "splits.json").write_text("[]")
    with pytest.raises(InputError, match="splits.json: not the splits"):
        splits.choose_splits(tmp_path)
