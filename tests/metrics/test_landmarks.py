"""The paper's measures give the numbers one works out by hand, and the command writes them."""

import dataclasses
import json

import cv2
import numpy as np
import pytest
import torch

import main_evaluate
from src.data import dumps
from src.errors import InputError
from src.face.topology import LANDMARK_COUNT
from src.io.files import write_arrays
from src.metrics import landmark_measures as lm
from src.metrics import predictions
from src.metrics.aperture import signed_aperture
from src.models.config import ContentConfig, SpeakerConfig
from src.models.content import ContentBranch
from src.models.dimensions import MEL_BANDS
from src.models.speaker_aware import SpeakerBranch


def face(frames: int = 1) -> np.ndarray:
    """(frames, 68, 3): face 100 wide, mouth 40 wide and 2 high, eyes 60 apart, nose in depth."""
    points = np.random.default_rng(0).uniform(-40, 40, (LANDMARK_COUNT, 3))
    points[[0, 16]] = [-50, 0, 0], [50, 0, 0]
    points[[48, 54]] = [-20, 40, 0], [20, 40, 0]
    points[[36, 45]] = [-30, -10, 0], [30, -10, 0]
    inner = [(-15, 40), (-10, 39), (0, 39), (10, 39), (15, 40), (10, 41), (0, 41), (-10, 41)]
    points[60:68] = [(x, y, 0) for x, y in inner]
    return np.repeat(points[None], frames, 0)


# ---- by hand -------------------------------------------------------------------------------------


def test_lips_and_jaw_by_hand():
    true, made = face(3), face(3)
    made[:, 57] += [0, 3, 4]  # one of the 25 points of jaw and lower lip, by 5
    made[1, 8] += [2, 0, 0]  # another, in one of three frames, by 2
    made[:, 30] += 9  # the nose does not count
    found = lm.lip_measures(made, true)
    per_point = (5 + 2 / 3) / 25
    assert found["D-LL"] == pytest.approx(100 * per_point / 40)
    # Point 8 goes and comes back by 2: 2 in both of two differences, over 25 points.
    assert found["D-VL"] == pytest.approx(100 * (2 / 25) / 40)
    assert found["D-A"] == 0


def test_width_of_the_lips_is_the_widest_of_the_true_clip():
    true, made = face(2), face(2)
    true[1, 54, 0] += 40
    made[:, 57, 0] += 1
    assert lm.lip_measures(made, true)["D-LL"] == pytest.approx(100 * (1 / 25) / 80)


def test_mouth_area_by_hand():
    true, made = face(2), face(2)
    # Inner lips: 20 wide in full height, and two triangles of 5 at the sides: 25 by the height.
    true[0, 65:68, 1] += 2  # height 4 in one frame, 2 in the other: areas 100 and 50
    made[0, 65:68, 1] -= 4  # crossed: an area below zero counts as shut
    assert lm.lip_measures(made, true)["D-A"] == pytest.approx(100 * (100 + 0) / 2 / 100)
    shut = face(2)
    shut[:, 60:68, 1] = 40
    assert np.isnan(lm.lip_measures(made, shut)["D-A"])


def turned(track: np.ndarray, degrees: float, axis: int) -> np.ndarray:
    """Turned about the middle of the points that move with the skull."""
    middle = track[:, list(lm.RIGID_POINTS)].mean(1, keepdims=True)
    rotation, _ = cv2.Rodrigues(np.radians(degrees) * np.eye(3)[axis])
    return (track - middle) @ rotation + middle


def test_head_measures_by_hand():
    still = face()[0]
    true = face(2)
    made = face(2) + [3, 0, 4]
    found = lm.head_measures(made, true, still)
    assert found["D-L"] == pytest.approx(5) == found["D-Pos"]  # of a face 100 wide
    assert found["D-V"] == pytest.approx(0)
    assert found["D-Rot"] == pytest.approx(0, abs=1e-6)
    made = face(2)
    made[1] = turned(made[1:], 12, 2)[0]
    found = lm.head_measures(made, true, still)
    assert found["D-Rot"] == pytest.approx(6)  # 12 degrees in one of two frames
    assert found["D-Pos"] == pytest.approx(0, abs=1e-9)


def test_velocity_of_all_points_by_hand():
    true, made = face(3), face(3)
    made[1] += [0, 2, 0]  # there and back
    assert lm.head_measures(made, true, face()[0])["D-V"] == pytest.approx(2)


@pytest.mark.parametrize(("axis", "place"), [(1, 0), (0, 1), (2, 2)])  # yaw, pitch, roll
def test_angles_of_a_head(axis, place):
    still = face()[0]
    rotations, _ = lm.head_pose(turned(face(), 25, axis), still)
    found = np.abs(lm.head_angles(rotations)[0])
    assert found[place] == pytest.approx(25)
    assert np.delete(found, place) == pytest.approx(0, abs=1e-6)
    larger, _ = lm.head_pose(turned(face(), 37, axis), still)
    assert lm.rotation_angle(rotations, larger) == pytest.approx(12)


def test_spread_and_speed_of_a_head():
    still = face()[0]
    track = face(4)
    track[2:] += [6, 8, 0]  # two places 10 apart, one step between them
    track[1] = turned(track[1:2], 8, 2)[0]
    track[1, lm.NOSE_TIP] = track[0, lm.NOSE_TIP]
    motion = lm.head_motion(track, still, rate=10.0)
    assert motion.spread["nose"] == pytest.approx(5)
    assert motion.speed["nose"] == pytest.approx(10 / 3 * 10)
    track = face(4)
    track[1::2] = turned(track[1::2], 8, 2)
    motion = lm.head_motion(track, still, rate=10.0)
    assert motion.spread["roll"] == pytest.approx(4)
    assert motion.speed["roll"] == pytest.approx(80)
    assert motion.spread["yaw"] == pytest.approx(0, abs=1e-6)


def test_opening_goes_below_zero():
    track = face(2)
    track[1, 66, 1] = 33
    assert signed_aperture(track) == pytest.approx([2 / 60, -6 / 60])


def test_separation_by_hand():
    found = lm.separation(np.array([[0.0], [1.0], [3.0]]), ["a", "a", "b"])
    # Same: 1. Others: 3 and 2.
    assert found == pytest.approx({"same": 1, "others": np.sqrt((9 + 4) / 2), "auc": 1})
    found = lm.separation(np.array([[0.0], [2.0], [1.0]]), ["a", "a", "b"])
    assert found["auc"] == 0
    assert np.isnan(lm.separation(np.zeros((2, 1)), ["a", "b"])["auc"])


# ---- references ----------------------------------------------------------------------------------


def clip(name: str, energies: list[float], moves: np.ndarray) -> dumps.Clip:
    """Features of the given log10 energies, and a face that moves by (T, 204)."""
    features = np.repeat((np.array(energies)[:, None] - np.log10(MEL_BANDS)) / 10, MEL_BANDS, 1)
    landmarks = face().reshape(1, -1) + moves
    return dumps.Clip(features.astype(np.float32), landmarks, name, np.zeros(256, np.float32))


def test_mel_energy_is_the_power_of_all_bands():
    features = np.full((1, MEL_BANDS), 0.3)  # 30 dB each: power 1000
    assert predictions.mel_energy(features) == pytest.approx(np.log10(1000 * MEL_BANDS))


def test_the_loudness_line_is_found_and_speakers_count_alike(tmp_path):
    # Jaw point 8 goes down by 2 * (energy - 1): the frames at rest, of energy 1, do not move.
    index = 3 * 8 + 1

    def moves(energies):
        made = np.zeros((len(energies), 204))
        made[:, index] = 2 * (np.array(energies) - 1)
        return made

    quiet = [1.0] * 5
    one = [*quiet, 2.0, 3.0, 4.0, 5.0, 5.0]
    two = [*quiet, 3.0]
    rows = [clip("a/x+0", one, moves(one)), clip("b/y+0", two, moves(two))]
    rows += [clip("a/x+1", one, 9 + moves(one)), clip("robot/r+0", two, 9 * moves(two))]
    # The face at rest is the mean of the five frames of the least area: the mouth opens too.
    for row, energies in zip(rows[:2], (one, two), strict=True):
        lips = row.landmarks.reshape(-1, LANDMARK_COUNT, 3)
        lips[:, 65:68, 1] += np.array(energies)[:, None] - 1
    found = predictions.fit_references(rows, tmp_path, False, {"r"})
    assert found.slope[index] == pytest.approx(2, abs=1e-4)
    assert found.start[index] == pytest.approx(-2, abs=1e-4)
    mean_a = 2 * np.mean(np.array(one) - 1)
    mean_b = 2 * np.mean(np.array(two) - 1)
    assert found.mean[index] == pytest.approx((mean_a + mean_b) / 2, abs=1e-4)


# ---- the command ---------------------------------------------------------------------------------


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
    """Dumps of two training speakers and one for tests, a synthetic sentence, and two runs."""
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
        dumps.replace_file(path, lambda file, c=contents: torch.save(c, file))
    return folder


def test_the_command_writes_table_figures_and_plot(root, tmp_path, capsys):
    arguments = ["--root_dir", root, "--name", "lips", "head", "--out_dir", tmp_path]
    assert main_evaluate.main([str(one) for one in arguments]) == 0
    printed = capsys.readouterr().out
    text = (tmp_path / "landmarks.md").read_text()
    assert printed.endswith(text)
    assert str(root / "ckpt" / "lips" / "ckpt_last.pth") in text
    figures = json.loads((tmp_path / "landmarks.json").read_text())
    methods = {"network", "played", "static", "loudness", "mean"}
    assert set(figures["lips"]) == methods == set(figures["heads"])
    assert set(figures["lips"]["network"]) == {"D-LL", "D-VL", "D-A", "correlation", "AUC"}
    assert set(figures["heads"]["network"]) == {"D-L", "D-V", "D-Rot", "D-Pos"}
    # Here the gap does follow the energy, up to the noise.
    assert figures["lips"]["loudness"]["correlation"] > 0.95
    assert figures["lips"]["loudness"]["D-LL"] < 0.2 * figures["lips"]["static"]["D-LL"]
    assert figures["lips"]["static"]["correlation"] == 0
    assert figures["lips"]["static"]["AUC"] == 0.5
    assert figures["counts"] == {
        **{"lip clips": 2, "sentences": 1, "open vowels": 1, "p b m": 1},
        "head clips": 2,
    }
    # The head nods by 0.05, and the face is 1.6 wide.
    spread = figures["motion"]["true"]["spread"]["nose"]
    assert spread == pytest.approx(100 * 0.05 / 1.6 * np.sin(np.arange(80) / 20).std(), rel=0.01)
    assert figures["speakers"]["clips"]["voices"] == 4
    plot = cv2.imread(str(tmp_path / "landmarks.png"))
    assert plot.shape[1] > 1000 and plot.std() > 10


def test_one_dump_is_enough(root, tmp_path, capsys):
    arguments = ["--root_dir", root, "--head_dump_file_name", "absent", "--out_dir", tmp_path]
    assert main_evaluate.main([str(one) for one in arguments]) == 0
    figures = json.loads((tmp_path / "landmarks.json").read_text())
    assert figures["lips"] and not figures["heads"]
    assert "absent_test_au.pickle: absent" in capsys.readouterr().err


def test_two_splits_are_judged_together(root, tmp_path, capsys):
    found = {}
    for splits in (("test",), ("val",), ("val", "test")):
        arguments = ["--root_dir", root, "--out_dir", tmp_path, "--split", *splits]
        assert main_evaluate.main([str(one) for one in arguments]) == 0
        assert f"Landmarks of {' and '.join(splits)}," in capsys.readouterr().out
        found[splits] = json.loads((tmp_path / "landmarks.json").read_text())
    both = found["val", "test"]
    assert both["splits"] == ["val", "test"]
    assert both["counts"]["lip clips"] == both["counts"]["head clips"] == 3
    # The mean over one clip and two others.
    for kind, measure in (("lips", "D-LL"), ("heads", "D-L")):
        one, two = (found[split,][kind]["network"][measure] for split in ("val", "test"))
        assert both[kind]["network"][measure] == pytest.approx((one + 2 * two) / 3)


def test_two_splits_of_which_one_is_absent_are_not_judged_as_two(root, tmp_path, capsys):
    for path in (root / "dump").glob("*_test_*"):
        target = tmp_path / "dump" / path.name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    arguments = ["--root_dir", tmp_path, "--split", "test", "val"]
    assert main_evaluate.main([str(one) for one in arguments]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    absent = tmp_path / "dump" / "autovc_retrain_mel_val_au.pickle"
    assert said == f"{absent}: absent, while the dump of the other split is there"
    assert not (tmp_path / "log").exists()


def refusal(capsys, *arguments) -> str:
    assert main_evaluate.main([str(argument) for argument in arguments]) == 2
    return capsys.readouterr().err


def test_bad_runs_end_in_one_line(root, tmp_path, capsys):
    said = refusal(capsys, "--root_dir", root, "--name", "nothing")
    assert said == f"{root / 'ckpt' / 'nothing'}: no checkpoint of a run (ckpt_*.pth)\n"
    said = refusal(capsys, "--root_dir", root, "--name", "lips", "lips")
    assert "are both content networks" in said
    said = refusal(capsys, "--root_dir", root, "--load_a2l_C_name", tmp_path / "x.pth")
    assert said == f"{tmp_path / 'x.pth'}: no such checkpoint\n"
    said = refusal(capsys, "--root_dir", tmp_path)
    assert "main_prepare_data.py makes them" in said
    assert not (tmp_path / "log").exists()


def test_the_best_checkpoint_of_a_run_counts(root, tmp_path):
    for name in ("ckpt_best.pth", "ckpt_e_3.pth"):
        target = tmp_path / "ckpt" / "run" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((root / "ckpt" / "head" / "ckpt_last.pth").read_bytes())
    found = predictions.find_runs(tmp_path, ["run"])
    assert found == {"speaker": tmp_path / "ckpt" / "run" / "ckpt_best.pth"}


def test_a_run_of_something_else_is_refused(tmp_path):
    path = tmp_path / "ckpt" / "run" / "ckpt_1.pth"
    path.parent.mkdir(parents=True)
    torch.save({"other": {"weight": torch.zeros(2)}}, path)
    with pytest.raises(InputError, match="not AutoVC, a content or a speaker-aware branch"):
        predictions.find_runs(tmp_path, ["run"])
