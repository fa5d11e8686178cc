"""The evaluation of landmarks: tables and figures of two splits."""

import dataclasses
import json

import numpy as np
import pytest
import torch

import main_evaluate
from src.data import dumps
from src.io.files import atomic_write, write_arrays
from src.models.config import ContentConfig, SpeakerConfig
from src.models.content import ContentBranch
from src.models.dimensions import MEL_BANDS
from src.models.speaker_aware import SpeakerBranch
from tests.metrics.faces import irregular_face as face


def moving_clip(rng: np.random.Generator, name: str, frames: int, nod: float) -> dumps.Clip:
    """Speech-like features; the jaw follows their energy, the head nods."""
    energy = 0.4 + 0.2 * np.sin(2 * np.pi * np.arange(frames) / 17)
    features = energy[:, None] + 0.02 * rng.normal(size=(frames, MEL_BANDS))
    track = face(frames) / 62.5
    track[:, [8, 57, 65, 66, 67], 1] += 0.1 * energy[:, None]
    track[..., 1] += nod * np.sin(np.arange(frames) / 20)[:, None]
    embedding = rng.normal(size=256)
    return dumps.Clip(
        features.astype(np.float32),
        track.reshape(frames, -1).astype(np.float32),
        name,
        (embedding / np.linalg.norm(embedding)).astype(np.float32),
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Dumps of two training speakers and one for tests, a sentence, and two trainings."""
    folder = tmp_path_factory.mktemp("root")
    rng = np.random.default_rng(0)
    for dump, nod in (("autovc_retrain_mel", 0.0), ("speaker_aware", 0.05)):
        train = [moving_clip(rng, f"{who}/{who}1+0", 90, nod) for who in "ab"]
        test = [moving_clip(rng, f"c/c{i}+0", 80, nod) for i in range(2)]
        if not nod:
            test.append(moving_clip(rng, "robot/robot_0+0", 70, nod))
        dumps.write_clips(folder, "train", train, dump)
        dumps.write_clips(folder, "test", test, dump)
        dumps.write_clips(folder, "val", [moving_clip(rng, "d/d0+0", 75, nod)], dump)
    write_arrays(
        folder / "synthetic" / "robot_0.npz",
        wav=np.zeros(16000, np.int16),
        speaker=np.array("robot"),
        phones=np.array(["m", "aa"]),
        times=np.array([[0.0, 0.3], [0.3, 0.7]]),
    )
    torch.manual_seed(0)
    content = ContentBranch(ContentConfig(lstm_size=8, prior=8, prior_hidden=8))
    speaker = SpeakerBranch(SpeakerConfig(audio_size=8))
    for name, part, network in (("lips", "model_g_face_id", content), ("head", "G", speaker)):
        path = folder / "ckpt" / name / "ckpt_last.pth"
        contents = {part: network.state_dict(), "config": dataclasses.asdict(network.config)}
        with atomic_write(path) as partial:
            torch.save(contents, partial)
    return folder


def test_the_command_writes_tables_and_figures(root, tmp_path, capsys):
    arguments = ["--root_dir", root, "--name", "lips", "head", "--out_dir", tmp_path]
    assert main_evaluate.main([str(one) for one in arguments]) == 0
    printed = capsys.readouterr().out
    text = (tmp_path / "landmarks.md").read_text()
    assert printed.endswith(text)
    assert str(root / "ckpt" / "lips" / "ckpt_last.pth") in text
    figures = json.loads((tmp_path / "landmarks.json").read_text())
    methods = {"ground truth", "network", "animated", "static", "loudness", "mean"}
    assert set(figures["lips"]) == methods == set(figures["heads"])
    assert set(figures["lips"]["network"]) == {"D-LL", "D-VL", "D-A", "correlation", "AUC"}
    assert {"D-L", "D-V", "D-Rot", "D-Pos", "spread of nose"} <= set(figures["heads"]["network"])
    assert figures["lips"]["ground truth"]["D-LL"] == figures["heads"]["ground truth"]["D-L"] == 0
    # Here the gap does follow the energy, up to the noise.
    assert figures["lips"]["loudness"]["correlation"] > 0.95
    assert figures["lips"]["loudness"]["D-LL"] < 0.2 * figures["lips"]["static"]["D-LL"]
    assert figures["lips"]["static"]["correlation"] == 0
    assert figures["lips"]["static"]["AUC"] == 0.5
    title = "Lips without head motion, 2 clips; AUC: 1 sentences, 1 open vowels, 1 p b m:"
    assert title in text and "Whole face, 2 clips with head motion:" in text
    assert list(figures["heads of each"]) == ["c/c0+0", "c/c1+0"]
    # The head nods by 0.05, and the face is 1.6 wide.
    spread = figures["heads"]["ground truth"]["spread of nose"]
    assert spread == pytest.approx(100 * 0.05 / 1.6 * np.sin(np.arange(80) / 20).std(), rel=0.01)
    assert list(figures["speakers"]) == ["clips, 4 voices of 3 speakers"]


def test_one_dump_is_enough(root, tmp_path, capsys):
    arguments = ["--root_dir", root, "--head_dump_file_name", "absent", "--out_dir", tmp_path]
    assert main_evaluate.main([str(one) for one in arguments]) == 0
    figures = json.loads((tmp_path / "landmarks.json").read_text())
    assert "lips" in figures and "heads" not in figures
    assert "absent_test_au.pickle: absent" in capsys.readouterr().err


def test_two_splits_are_evaluated_together(root, tmp_path, capsys):
    found = {}
    for splits in (("test",), ("val",), ("val", "test")):
        arguments = ["--root_dir", root, "--out_dir", tmp_path, "--split", *splits]
        assert main_evaluate.main([str(one) for one in arguments]) == 0
        assert f"Landmarks of {' and '.join(splits)}." in capsys.readouterr().out
        found[splits] = json.loads((tmp_path / "landmarks.json").read_text())
    both = found["val", "test"]
    assert both["splits"] == ["val", "test"]
    assert len(both["lips of each"]) - 1 == len(both["heads of each"]) == 3  # one is a sentence
    # The mean over one clip and two others.
    for kind, measure in (("lips", "D-LL"), ("heads", "D-L")):
        one, two = (found[split,][kind]["network"][measure] for split in ("val", "test"))
        assert both[kind]["network"][measure] == pytest.approx((one + 2 * two) / 3)


def test_two_splits_of_which_one_is_absent_are_not_evaluated_as_two(root, tmp_path, capsys):
    for path in (root / "dump").glob("*_test_*"):
        target = tmp_path / "dump" / path.name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    arguments = ["--root_dir", tmp_path, "--split", "test", "val"]
    assert main_evaluate.main([str(one) for one in arguments]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    absent = tmp_path / "dump" / "autovc_retrain_mel_val_au.pickle"
    assert message.startswith(f"{absent}: ")
    assert not (tmp_path / "log").exists()


def refusal(capsys, *arguments) -> str:
    assert main_evaluate.main([str(argument) for argument in arguments]) == 2
    return capsys.readouterr().err


def test_bad_trainings_end_in_one_line(root, tmp_path, capsys):
    message = refusal(capsys, "--root_dir", root, "--name", "nothing")
    assert message == f"{root / 'ckpt' / 'nothing'}: no ckpt_best.pth or ckpt_last.pth\n"
    message = refusal(capsys, "--root_dir", root, "--name", "lips", "lips")
    assert "are both content networks" in message
    message = refusal(capsys, "--root_dir", root, "--load_a2l_C_name", tmp_path / "x.pth")
    assert message.startswith(f"{tmp_path / 'x.pth'}: no such checkpoint")
    message = refusal(capsys, "--root_dir", tmp_path)
    assert "main_prepare_data.py writes them" in message
    assert not (tmp_path / "log").exists()
