"""The loop of the trainings: killed and gone on with, in several processes, and at a NaN."""

import os
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboardX.proto import event_pb2
from torch import nn

import main_train_content
from src.data import dumps
from src.errors import InputError
from src.io.files import write_arrays
from src.models.config import ContentConfig
from src.models.content import ContentBranch
from src.training import checkpoints, loop, parallel
from src.training.settings import Training
from tests.data.samples import clips
from tests.training import parallel_trainings

ROOT = Path(__file__).resolve().parents[2]
LINE = re.compile(r"^(step (\d+) of \d+: .*); [\d.]+ steps/s$", re.M)

# A batch norm or a softmax takes these biases away again: their gradients are rounding, which Adam
# makes as large as any other. The network's predictions show that biases and running means match.
WITHOUT_EFFECT = re.compile(r"fc(_prior)?\.(\d\.running_mean|[03]\.bias)$|.*k_linear\.bias$")


def losses_by_step(text: str) -> dict[int, str]:
    return {int(step): line for line, step in LINE.findall(text)}


def same_tensors(one: dict, other: dict) -> bool:
    return all(torch.equal(value, other[key]) for key, value in one.items())


def test_a_training_that_is_killed_goes_on_as_if_it_had_not_been(tmp_path, capsys):
    dumps.write_clips(tmp_path, "train", clips(6))
    dumps.write_clips(tmp_path, "val", clips(2, seed=5))
    sizes = {"hidden_size": 8, "lstm_layers": 2, "prior_hidden": 8, "segment_batch_size": 64}
    sizes |= {"run_length": 16, "lambda_correlation_loss": 1}
    often = {"nepoch": 12, "validate_every": 40, "log_every": 1, "threads": 1, "device": "cpu"}
    arguments = ["--train", "--write", "--even_clips", "--root_dir", str(tmp_path)]
    arguments += [f"--{option}={value}" for option, value in {**sizes, **often}.items()]

    child = subprocess.Popen(
        [sys.executable, "main_train_content.py", *arguments, "--name", "killed"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in child.stdout:
        if line.startswith("step 49 of 108:"):  # 9 steps after a checkpoint, within an epoch
            child.kill()
            break
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    last = tmp_path / "ckpt" / "killed" / "ckpt_last.pth"
    assert torch.load(last)["step"] == 40

    (last.parent / ".ckpt_last.pth.1.part").write_bytes(b"what a kill while writing leaves")
    assert main_train_content.main([*arguments, "--name", "killed", "--resume"]) == 0
    resumed = losses_by_step(capsys.readouterr().out)
    assert main_train_content.main([*arguments, "--name", "whole"]) == 0
    whole = losses_by_step(capsys.readouterr().out)
    assert list(resumed) == list(range(41, 109))
    assert resumed == {step: whole[step] for step in resumed}
    killed, whole = torch.load(last), torch.load(tmp_path / "ckpt" / "whole" / "ckpt_last.pth")
    assert same_tensors(killed["network"], whole["network"])
    assert same_tensors(killed["model_g_face_id"], whole["model_g_face_id"])
    assert killed["best"] == whole["best"]
    assert sorted(path.name for path in last.parent.iterdir()) == ["ckpt_best.pth", "ckpt_last.pth"]


def test_a_kill_while_writing_leaves_a_whole_checkpoint(tmp_path):
    path = tmp_path / "ckpt_last.pth"
    for turn in range(5):
        child = os.fork()
        if not child:
            step = 0
            while True:
                step += 1
                numbers = np.full(500_000, step, np.int32)
                checkpoints.save_checkpoint(path, step=step, numbers=torch.from_numpy(numbers))
        while not path.exists():
            time.sleep(0.001)
        time.sleep(0.05 + 0.003 * turn)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        state = torch.load(path, weights_only=True)
        assert state["numbers"].eq(state["step"]).all()


def predicted_by(state: dict, windows: torch.Tensor, static: torch.Tensor) -> torch.Tensor:
    network = ContentBranch(ContentConfig(**state["config"])).eval()
    network.load_state_dict(state["network"])
    with torch.inference_mode():
        return network(windows, static)


@pytest.fixture
def dumped(tmp_path) -> Path:
    parallel_trainings.write_dumps(tmp_path, clips(6))
    return tmp_path


def test_two_processes_learn_what_one_learns_from_the_whole_batch(dumped):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*command, "-m", "tests.training.parallel_trainings", str(dumped), "two"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(LINE.findall(done.stdout)) == parallel_trainings.LINES  # the first process's only
    parallel_trainings.main(dumped, "one")
    for name, part in (
        ("content", "network"),
        ("speaker_aware", "network"),
        ("speaker_aware", "discriminator"),
        ("voice_conversion", "model"),
    ):
        one, two = (
            torch.load(dumped / "ckpt" / f"{count}_{name}" / "ckpt_last.pth", weights_only=True)
            for count in ("one", "two")
        )
        for key, value in one[part].items():
            if not WITHOUT_EFFECT.match(key):
                difference = (value.double() - two[part][key].double()).abs()
                assert difference.mean().item() < 2e-6, (name, key)  # they moved by about 1e-4
                assert difference.max().item() < 1e-4, (name, key)
        assert len(two["random"]) == 2
        if name == "content":
            windows, static = torch.randn(50, 18, 80), torch.randn(50, 204)
            predictions = [predicted_by(state, windows, static) for state in (one, two)]
            assert (predictions[0] - predictions[1]).abs().max().item() < 2e-4
    # In 16 bits rounding makes weights diverge, but not the statistics of the first norm's input.
    one, two = (
        torch.load(dumped / "ckpt" / f"{count}_content_bfloat16" / "ckpt_last.pth")["network"]
        for count in ("one", "two")
    )
    assert one["fc_prior.1.running_mean"].std() > 0.02
    for key in ("fc_prior.1.running_mean", "fc_prior.1.running_var"):
        assert two[key].dtype == torch.float32
        torch.testing.assert_close(two[key], one[key], rtol=0.02, atol=2e-3)


CPU = torch.device("cpu")


def settings_in(folder: Path, steps: int, **changes) -> Training:
    common = {"validate_every": 1000, "log_every": 1000, "write": True}
    return Training(root_dir=folder, name="line", steps=steps, **{**common, **changes})


def train_line(settings: Training, draw, rate: float = 0.1, **more) -> nn.Linear:
    """Fit y = w x by plain gradient descent."""
    network = nn.Linear(1, 1, bias=False)
    nn.init.ones_(network.weight)
    optimizer = torch.optim.SGD(network.parameters(), rate)
    average = loop.moving_average(network, 0.5)
    trained = loop.TrainedNetwork(network, optimizer, average=average, schedule=loop.constant)

    def step(_done, x, y):
        yield trained, {"square": (network(x) - y).square().mean()}

    contents = {"network": network, "average": average, "opt": optimizer, "config": {}}
    validate = lambda: {"weight": network.weight.item()}  # noqa: E731
    loop.train(settings, CPU, [trained], draw, step, validate, contents, **more)
    return network


def two_points() -> loop.Batch:
    return loop.Batch((torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [0.0]])), ["one", "two"])


def test_a_step_by_hand(tmp_path):
    # w = 1: losses (1 - 2)^2 = 1 and (3 - 0)^2 = 9; gradient mean(2 (1 - 2) 1, 2 (3 - 0) 3) = 8.
    # w <- 1 - 0.1 * 8 = 0.2. Then mean(2 (0.2 - 2), 2 (0.6 - 0) 3) = 0: it stays at 0.2.
    settings = settings_in(tmp_path, 2)
    network = train_line(settings, two_points)
    assert network.weight.item() == pytest.approx(0.2)
    state = torch.load(settings.last_checkpoint)
    assert state["step"] == 2
    assert state["average"]["module.weight"].item() == pytest.approx(0.2)


def test_the_average_forgets_the_first_weights_soon():
    network = nn.Linear(1, 1, bias=False)
    average = loop.moving_average(network, 0.5)
    averages = []
    for value in (1.0, 2.0, 4.0, 8.0, *[16.0] * 5, 0.0):
        nn.init.constant_(network.weight, value)
        average.update_parameters(network)
        averages.append(average.module.weight.item())
    # Decays 2/11, 3/12 and 4/13 after the first, which is taken as it is.
    second = 2 / 11 * 1 + 9 / 11 * 2
    third = 3 / 12 * second + 9 / 12 * 4
    assert averages[:4] == pytest.approx([1, second, third, 4 / 13 * third + 9 / 13 * 8])
    # The tenth would be 10/19 but for the decay asked for.
    assert averages[9] == pytest.approx(0.5 * averages[8])


def test_long_gradients_are_clipped():
    network = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(network.weight)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    trained = loop.TrainedNetwork(network, optimizer, 0.5)
    norm = trained.optimize((network(torch.tensor([[3.0, 4.0]]))).sum())  # the gradient is (3, 4)
    assert norm == pytest.approx(5.0)
    assert network.weight.tolist()[0] == pytest.approx([-0.3, -0.4], abs=1e-5)


def test_the_learning_rate_warms_up_and_falls():
    assert loop.cosine(0, 1100) == pytest.approx(0.01)
    assert loop.cosine(99, 1100) == pytest.approx(1.0)
    assert loop.cosine(600, 1100) == pytest.approx(0.02 + 0.98 * 0.5)
    assert loop.cosine(1100, 1100) == pytest.approx(0.02)


def test_a_non_finite_loss_stops_the_training_and_names_the_batch(tmp_path):
    batches = iter([two_points(), two_points()])

    def draw() -> loop.Batch:
        good = next(batches, None)
        return good or loop.Batch((torch.full((1, 1), torch.nan), torch.zeros(1, 1)), ["s1/bad"])

    with pytest.raises(InputError, match="^step 2: non-finite loss; the batch was s1/bad$"):
        train_line(settings_in(tmp_path, 9), draw)
    assert not list(tmp_path.rglob("*.pth"))


def test_a_broken_clip_ends_the_command_by_its_name(tmp_path, capsys):
    broken = clips(6)
    broken[3].landmarks[40:60] = np.nan
    dumps.write_clips(tmp_path, "train", broken)
    dumps.write_clips(tmp_path, "val", clips(2, seed=5))
    sizes = ["--hidden_size=8", "--lstm_layers=1", "--prior_hidden=8", "--threads=1"]
    arguments = ["--root_dir", str(tmp_path), "--train", "--write", *sizes]
    assert main_train_content.main(arguments) == 2
    message = capsys.readouterr().err
    assert message.startswith("step 0: non-finite loss; the batch was ")
    assert "s1/3+0" in message and message.count("\n") == 1
    assert not (tmp_path / "ckpt").exists()


def test_the_best_checkpoint_is_kept(tmp_path):
    settings = settings_in(tmp_path, 4, validate_every=1)
    # The weight goes 1, -0.6, 1, -0.6, ...: |w - 0.2| doubles the rate that would end it at once.
    train_line(settings, two_points, rate=0.2, score=lambda scores: scores["weight"])
    best = torch.load(settings.checkpoint_folder / "ckpt_best.pth")
    assert (best["step"], best["best"]) == (2, pytest.approx(1.0))


def test_a_batch_that_cannot_be_split_is_refused(monkeypatch):
    monkeypatch.setattr(parallel, "count", lambda: 3)
    with pytest.raises(InputError, match="a batch of 8 cannot be split evenly over 3 processes"):
        parallel.own(8)


def summaries(folder: Path) -> list:
    """The values in TensorBoard's event files, which are records with length and checksums."""
    values = []
    for path in sorted(folder.glob("events.*")):
        content, at = path.read_bytes(), 0
        while at < len(content):
            (length,) = struct.unpack_from("<Q", content, at)
            event = event_pb2.Event.FromString(content[at + 12 : at + 12 + length])
            values += [(event.step, value) for value in event.summary.value]
            at += length + 16
    return values


def test_tensorboard_gets_losses_rates_norms_and_scores(dumped):
    parallel_trainings.main(dumped, "one")
    for name, parts, score in (
        ("content", "l1 square laplacian motion gradient_norm learning_rate", "correlation"),
        ("speaker_aware", "l1 gan discriminator learning_rate_discriminator", "spread"),
        ("voice_conversion", "first refined code gradient_norm learning_rate", "refined"),
    ):
        known = {
            value.tag: (step, value) for step, value in summaries(dumped / "log" / f"one_{name}")
        }
        assert {f"train/{part}" for part in parts.split()} <= set(known)
        assert all(np.isfinite(value.simple_value) for _, value in known.values())
        assert known[f"held_out/{score}"][0] == parallel_trainings.STEPS


def test_trainings_need_no_package_for_sound_or_faces(dumped):
    faces = np.zeros((68, 3)), np.zeros((2, 204)), np.zeros((1, 68, 3))
    faces[0][:] = clips(1)[0].landmarks[0].reshape(68, 3)
    names = ("standard_face", "lip_weights", "static_faces")
    write_arrays(dumped / "dump" / "faces.npz", **dict(zip(names, faces, strict=True)))
    code = """
import sys
absent = "librosa mediapipe resemblyzer soundfile pysptk ffmpeg imageio_ffmpeg \
face_alignment skimage PIL matplotlib".split()
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
import main_train_content, main_train_speaker_aware, main_train_voice_conversion
arguments = sys.argv[1:] + "--train --write --steps 2 --threads 1 --device cpu".split()
speaker = ["--dump_file_name=autovc_retrain_mel", "--max_length=64", "--audio_layers=1"]
assert main_train_content.main([*arguments, "--segment_batch_size=64", "--lstm_layers=1"]) == 0
assert main_train_speaker_aware.main([*arguments, *speaker]) == 0
assert main_train_voice_conversion.main([*arguments, "--held_out=c", "--dim_pre=64"]) == 0
"""
    done = subprocess.run(
        [sys.executable, "-c", code, "--root_dir", str(dumped)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
