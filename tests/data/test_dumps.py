"""Landmark dumps: their format, memory mapping, and what is refused."""

import os
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from src.data import dumps
from src.errors import InputError
from tests.data.samples import clips


def test_dumps_come_back_in_the_published_layout(tmp_path):
    written = clips(3)
    dumps.write_clips(tmp_path, "train", written)
    with (tmp_path / "dump" / "autovc_retrain_mel_train_au.pickle").open("rb") as file:
        raw = pickle.load(file)
    assert raw[1][0].shape == (90, 80)
    assert raw[1][1][:2] == (1, "s1/1+0")
    read = dumps.read_clips(tmp_path, "train")
    assert [clip.name for clip in read] == [clip.name for clip in written]
    assert np.array_equal(read[2].landmarks, written[2].landmarks)


def test_a_large_dump_is_converted_once_and_mapped(tmp_path, monkeypatch):
    written = clips(3)
    dumps.write_clips(tmp_path, "train", written)
    read = dumps.read_clips(tmp_path, "train")
    monkeypatch.setattr(dumps, "MAPPED_FROM", 1)
    for _ in range(2):
        mapped = dumps.read_clips(tmp_path, "train")
        for one, other in zip(read, mapped, strict=True):
            assert np.array_equal(one.features, other.features)
            assert np.array_equal(one.landmarks, other.landmarks)
            assert np.array_equal(one.embedding, other.embedding)
            assert one.name == other.name
    base = mapped[1].landmarks
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert isinstance(base, np.memmap)
    converted = tmp_path / "dump" / "autovc_retrain_mel_train_fl.npy"
    written = converted.stat().st_mtime_ns
    assert len(list((tmp_path / "dump").iterdir())) == 5

    # Another dump in its place is converted anew, and so is a damaged one.
    dumps.write_clips(tmp_path, "train", clips(3, seed=8))
    again = dumps.read_clips(tmp_path, "train")
    assert not np.array_equal(again[0].features, mapped[0].features)
    assert converted.stat().st_mtime_ns > written
    converted.write_bytes(b"no array")
    repaired = dumps.read_clips(tmp_path, "train")
    assert np.array_equal(repaired[0].landmarks, clips(3, seed=8)[0].landmarks)
    assert converted.stat().st_size > 1000


def test_double_precision_of_a_large_dump_becomes_single(tmp_path, monkeypatch):
    doubled = [
        dumps.Clip(
            one.features.astype(float), np.asfortranarray(one.landmarks), one.name, one.embedding
        )
        for one in clips(2)
    ]
    dumps.write_clips(tmp_path, "train", doubled)
    monkeypatch.setattr(dumps, "MAPPED_FROM", 1)
    for one, other in zip(clips(2), dumps.read_clips(tmp_path, "train"), strict=True):
        assert other.features.dtype == np.float32
        assert np.array_equal(one.features, other.features)
        assert np.array_equal(one.landmarks, other.landmarks)


class Asks:
    """Pickles into a call of a function with arguments."""

    def __init__(self, function, *arguments):
        self.asked = function, arguments

    def __reduce__(self):
        return self.asked


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("mapped", [False, True])
def test_dumps_of_every_pickle_protocol_are_read(tmp_path, monkeypatch, protocol, mapped):
    if mapped:
        monkeypatch.setattr(dumps, "MAPPED_FROM", 1)
    written = clips(2)
    dumps.write_clips(tmp_path, "train", written)
    for path in dumps.dump_paths(tmp_path, "train"):
        path.write_bytes(pickle.dumps(pickle.loads(path.read_bytes()), protocol=protocol))
    read = dumps.read_clips(tmp_path, "train")
    assert np.array_equal(read[1].features, written[1].features)


@pytest.mark.parametrize(
    "payload",
    [
        lambda harm: [Asks(open, harm, "w")],
        lambda harm: [Asks(os.system, f"touch {harm}")],
        lambda harm: [Asks(eval, f"open({harm!r}, 'w')")],
        lambda harm: [Asks(exec, f"open({harm!r}, 'w')")],
        lambda harm: [Asks(getattr, "", "upper")],
        lambda harm: [Asks(np.save, harm, np.zeros(1))],
        lambda harm: [Asks(subprocess.call, ["touch", harm])],
        lambda harm: [Asks(Path, harm)],
        lambda harm: [(Asks(np.zeros, 3), (0, "a", np.zeros(256)))],
        lambda harm: [(np.array([Asks(open, harm, "w")], object), (0, "a", np.zeros(256)))],
        lambda harm: [(np.array([[None] * 80], object), (0, "a", np.zeros(256)))],
        lambda harm: Asks(torch.load, harm),
        lambda harm: b"cos\nsystem\n(Vtouch " + harm.encode() + b"\ntR.",  # protocol 0
        lambda harm: b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",  # a method of data
        lambda harm: b"\x80\x02cnumpy\ncore\n.",  # a module of data
    ],
)
@pytest.mark.parametrize("mapped", [False, True])
def test_a_dump_that_would_run_code_is_refused_by_name(tmp_path, monkeypatch, payload, mapped):
    if mapped:
        monkeypatch.setattr(dumps, "MAPPED_FROM", 1)
    dumps.write_clips(tmp_path, "train", clips(1))
    audio, landmarks = dumps.dump_paths(tmp_path, "train")
    content = payload(str(tmp_path / "harm"))
    content = content if isinstance(content, bytes) else pickle.dumps(content)
    for path in (audio, landmarks):
        good = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(InputError, match=path.name):
            dumps.read_clips(tmp_path, "train")
        path.write_bytes(good)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.999])
def test_a_truncated_dump_is_refused(tmp_path, kept):
    dumps.write_clips(tmp_path, "train", clips(1))
    path = dumps.dump_paths(tmp_path, "train")[0]
    content = path.read_bytes()
    path.write_bytes(content[: int(kept if kept >= 1 or not kept else kept * len(content))])
    with pytest.raises(InputError, match="autovc_retrain_mel_train_au.pickle"):
        dumps.read_clips(tmp_path, "train")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"a": 1}, "holds a dict, not a list"),
        ([np.zeros((3, 80))], "clip 0 is not a pair"),
        (
            [(np.zeros((3, 79)), (0, "a", np.zeros(256)))],
            "clip 0 is not an array of",
        ),
        ([(np.zeros((3, 80)), (0, "a", np.zeros(3)))], "without"),
    ],
)
def test_a_dump_of_another_structure_is_refused(tmp_path, content, problem):
    dumps.write_clips(tmp_path, "train", clips(1))
    dumps.dump_paths(tmp_path, "train")[0].write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=problem):
        dumps.read_clips(tmp_path, "train")


def test_the_test_split_stands_in_where_there_is_none_for_validation(tmp_path):
    name = "autovc_retrain_mel"
    dumps.write_clips(tmp_path, "train", clips(3))
    dumps.write_clips(tmp_path, "test", clips(2))
    assert [len(part) for part in dumps.read_training(tmp_path, name)] == [3, 2]
    dumps.write_clips(tmp_path, "val", [])
    with pytest.raises(InputError, match="val_au.pickle: no clips in it"):
        dumps.read_training(tmp_path, name)
