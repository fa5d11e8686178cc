"""The training scripts as commands: one clear line and exit code 2 for what is wrong."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import main_export_weights
import main_prepare_data
import main_train_content
import main_train_speaker_aware
import main_train_voice_conversion
from src.data import dumps
from src.face.topology import RIGID_POINTS
from src.io.files import write_arrays
from tests.data.samples import clips

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("command", "arguments", "problem"),
    [
        (main_train_content, [], "autovc_retrain_mel_train_au.pickle"),
        (main_train_speaker_aware, [], "speaker_aware_train_au.pickle"),
        (main_train_voice_conversion, [], "voices.npz"),
        (main_prepare_data, ["--step", "faces"], "no tracked clips"),
        (main_prepare_data, ["--step", "content"], "faces.npz"),
        (main_prepare_data, ["--step", "voices", "--speech", "/no/folder"], "/no/folder"),
        (main_prepare_data, ["--step", "synthetic", "--synthetic", "foo=1"], "--synthetic foo"),
        (main_prepare_data, ["--step", "synthetic"], "--synthetic: name voices"),
        (
            main_prepare_data,
            ["--step", "synthetic", "--synthetic", "rms=1", "--text", "/no/text"],
            "/no/text: cannot be read",
        ),
        (main_prepare_data, ["--step", "clips"], "--videos none given"),
        (
            main_export_weights,
            [f"--load_{name}" for name in ("AUTOVC_name=a", "a2l_C_name=b", "a2l_G_name=c")],
            "target_embedding.npy",
        ),
    ],
)
def test_what_is_missing_is_named_in_one_line(tmp_path, capsys, command, arguments, problem):
    assert command.main(["--root_dir", str(tmp_path), *arguments]) == 2
    message = capsys.readouterr().err
    assert problem in message
    assert message.count("\n") == 1


@pytest.mark.parametrize("script", sorted(path.name for path in ROOT.glob("main_*.py")))
def test_help_needs_no_heavy_package(script):
    code = (
        "import sys, runpy; sys.argv = [sys.argv[1], '--help']\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'librosa', 'mediapipe', 'cv2', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, script], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "--" in done.stdout


def test_content_training_from_the_command_line(tmp_path, capsys):
    dumps.write_clips(tmp_path, "train", clips(6))
    dumps.write_clips(tmp_path, "val", clips(2, seed=5))
    arguments = ["--root_dir", str(tmp_path), "--name", "run", "--threads", "1"]
    sizes = ["--hidden_size", "16", "--lstm_layers", "1", "--prior_hidden", "16"]
    train = ["--train", "--write", "--steps", "4", "--segment_batch_size", "32", *sizes]
    assert main_train_content.main([*arguments, *train]) == 0
    checkpoint = tmp_path / "ckpt" / "run" / "ckpt_last.pth"
    assert checkpoint.is_file()
    assert list((tmp_path / "log" / "run").iterdir())
    assert main_train_content.main([*arguments, "--load_a2l_C_name", str(checkpoint)]) == 0

    def refusal(command, *more) -> str:
        capsys.readouterr()
        assert command.main([*arguments, *more]) == 2
        return capsys.readouterr().err

    resume = [*train, "--resume", "--steps", "6"]
    said = refusal(main_train_content, *resume, "--hidden_size", "24")
    assert said.endswith("of another network: lstm_size is 16 there and 24 here\n")
    said = refusal(main_train_content, *train, "--share", "zz=0.5")
    assert said.startswith("--share zz")
    said = refusal(main_train_content, *train, "--run_length", "33")
    assert said == "--run_length 33: longer than a batch of 32 windows\n"
    broken = tmp_path / "broken.pth"
    torch.save({"opt": {}}, broken)
    for option in ("--load_a2l_C_name", "--load_a2l_G_name"):
        dumps_of = ["--dump_file_name", "autovc_retrain_mel"]
        command = main_train_content if "_C_" in option else main_train_speaker_aware
        said = refusal(command, *dumps_of, option, str(broken))
        assert said.startswith(f"{broken}: no weights under")

    # A run goes on with the statistics that it began with, whatever the dump is now.
    dumps.write_clips(tmp_path, "train", clips(3, seed=8))
    before = torch.load(checkpoint)["mel_mean"]
    assert main_train_content.main([*arguments, *resume]) == 0
    state = torch.load(checkpoint)
    assert state["step"] == 6
    assert torch.equal(state["mel_mean"], before)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (main_train_content, ["--segment_batch_size", "3"]),
        (main_train_content, ["--window_lead", "18"]),
        (main_train_content, ["--run_length", "1"]),
        (main_train_content, ["--share", "zz"]),
        (main_train_speaker_aware, ["--window_lead", "-1"]),
        (main_train_voice_conversion, ["--freq", "12"]),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_option(capsys, command, arguments):
    with pytest.raises(SystemExit) as end:
        command.main(["--root_dir", "x", *arguments])
    assert end.value.code == 2
    message = capsys.readouterr().err
    assert arguments[0] in message
    assert message.count("\n") == 1


def test_voice_conversion_needs_voices_on_both_sides(tmp_path, capsys):
    known = dumps.Voices(
        mel=np.zeros((400, 80), np.float16),
        f0_bins=np.zeros(400, np.int16),
        starts=np.array([0, 200, 400]),
        embeddings=np.zeros((2, 256), np.float32),
        names=np.array(["a1", "b1"]),
        speakers=np.array(["a", "b"]),
    )
    write_arrays(tmp_path / "dump" / "voices.npz", **vars(known))
    for held_out, problem in (([], "name speakers to validate on"), (["a", "b"], "every speaker")):
        more = ["--train", "--held_out", *held_out]
        assert main_train_voice_conversion.main(["--root_dir", str(tmp_path), *more]) == 2
        assert problem in capsys.readouterr().err


def test_an_epoch_is_all_windows_once(tmp_path):
    import torch

    dumps.write_clips(tmp_path, "train", clips(6))  # of 90 windows each
    dumps.write_clips(tmp_path, "val", clips(2, seed=5))
    arguments = ["--root_dir", str(tmp_path), "--train", "--write", "--nepoch", "2"]
    sizes = ["--hidden_size", "16", "--lstm_layers", "1", "--prior_hidden", "16"]
    assert main_train_content.main([*arguments, "--segment_batch_size", "200", *sizes]) == 0
    state = torch.load(tmp_path / "ckpt" / "content" / "ckpt_last.pth", weights_only=True)
    assert state["step"] == 6


def test_exported_weights_load_and_keep_their_sizes(tmp_path, capsys):
    from src.io.checkpoint import read_checkpoint
    from src.models.autovc import AutoVC
    from src.models.config import AutoVCConfig, ContentConfig, SpeakerConfig, TranslationConfig
    from src.models.content import ContentBranch
    from src.models.image_translation import ResUnetGenerator
    from src.models.loading import load_network
    from src.models.speaker_aware import SpeakerBranch
    from src.training.checkpoints import save_checkpoint

    networks = {
        "model": AutoVC(AutoVCConfig(dim_neck=4, dim_pre=32, freq=8)),
        "model_g_face_id": ContentBranch(ContentConfig(lstm_size=16, lstm_layers=1, window_lead=5)),
        "G": SpeakerBranch(SpeakerConfig(audio_size=16, audio_layers=1)),
    }
    arguments = ["--root_dir", str(tmp_path), "--out_dir", str(tmp_path / "out")]
    options = ("--load_AUTOVC_name", "--load_a2l_C_name", "--load_a2l_G_name")
    for option, (key, network) in zip(options, networks.items(), strict=True):
        path = tmp_path / f"{key}.pth"
        statistics = {"mel_mean": torch.zeros(80), "mel_std": torch.ones(80)}
        save_checkpoint(path, **{key: network.state_dict()}, config=network.config, **statistics)
        arguments += [option, str(path)]
    translation = ResUnetGenerator(TranslationConfig(mends=True, num_downs=3, ngf=4))
    mending = tmp_path / "mends.pth"
    save_checkpoint(mending, G=translation.state_dict(), config=translation.config)
    arguments += ["--load_G_name", str(mending), "--lip_gain", "0.5"]
    write_arrays(
        tmp_path / "dump" / "faces.npz",
        standard_face=np.ones((68, 3)),
        lip_weights=np.zeros((2, 204)),
        static_faces=np.zeros((1, 68, 3)),
    )
    np.save(tmp_path / "dump" / "target_embedding.npy", np.full(256, 0.5, np.float32))
    assert main_export_weights.main(arguments) == 0
    weights, config = read_checkpoint(tmp_path / "out" / "content.safetensors")
    assert config["window_lead"] == 5
    again = ContentBranch(ContentConfig(**config))
    again.load_state_dict({key: value.float() for key, value in weights.items()}, strict=False)
    weights_of = networks["model_g_face_id"].fc[-1].weight
    # Points of the face that no voice moves, all others but the lips' y, and one of those.
    held = [3 * point + axis for point in RIGID_POINTS for axis in range(3)]
    at_rest, gained = sorted({*range(145), 146} - {*held}), 3 * 66 + 1
    assert not again.fc[-1].weight[held].any() and not again.fc[-1].bias[held].any()
    assert torch.equal(again.fc[-1].weight[at_rest], weights_of[at_rest].half().float())
    assert torch.equal(again.fc[-1].weight[gained], (0.5 * weights_of[gained]).half().float())
    mends, config = read_checkpoint(tmp_path / "out" / "translation.safetensors")
    assert config["mends"] is True and mends["model.model.0.weight"].dtype == torch.float16
    constants, _ = read_checkpoint(tmp_path / "out" / "constants.safetensors")
    assert constants["target_embedding"].float().eq(0.5).all()
    assert constants["standard_face"].shape == (68, 3)

    # Branches that learned from differently standardised features go together all the same.
    mean, deviation = torch.linspace(-1, 1, 80), torch.linspace(0.5, 2, 80)
    path = tmp_path / "G.pth"
    contents = torch.load(path)
    torch.save({**contents, "mel_mean": mean, "mel_std": deviation}, path)
    assert main_export_weights.main(arguments) == 0
    weights, config = read_checkpoint(tmp_path / "out" / "content.safetensors")
    constants, _ = read_checkpoint(tmp_path / "out" / "constants.safetensors")
    assert torch.equal(constants["mel_mean"], mean.half())
    other = ContentBranch(ContentConfig(**config)).eval()
    other.load_state_dict({key: value.float() for key, value in weights.items()}, strict=False)
    heard, seen = torch.randn(3, 18, 80), torch.randn(1, 204)
    with torch.inference_mode():
        moved = again.eval()(heard, seen), other((heard - mean) / deviation, seen)
    assert torch.allclose(*moved, atol=2e-3) and moved[0].std() > 0.02

    # Two branches become an ensemble, which averages their outputs.
    second = ContentBranch(ContentConfig(lstm_size=8, lstm_layers=1, window_lead=5)).eval()
    statistics = {"mel_mean": mean, "mel_std": deviation}
    alone = tmp_path / "second.pth"
    save_checkpoint(alone, model_g_face_id=second.state_dict(), config=second.config, **statistics)
    place = arguments.index("--load_a2l_C_name")
    both = [*arguments[: place + 2], str(alone), *arguments[place + 2 :]]
    assert main_export_weights.main([*both, "--lip_gain", "1"]) == 0
    weights, config = read_checkpoint(tmp_path / "out" / "content.safetensors")
    assert [member["lstm_size"] for member in config["members"]] == [16, 8]
    wide = load_network("content", tmp_path / "out" / "content.safetensors").network.eval()
    with torch.inference_mode():
        standardised = (heard - mean) / deviation
        first = networks["model_g_face_id"].eval()(heard, seen)
        expected = 0.5 * (first + second(standardised, seen))
        expected[:, held] = 0
        assert torch.allclose(wide(standardised, seen), expected, atol=2e-3)
    unlike = ContentBranch(ContentConfig(lstm_size=8, lstm_layers=2, window_lead=4))
    save_checkpoint(alone, model_g_face_id=unlike.state_dict(), config=unlike.config, **statistics)
    assert main_export_weights.main(both) == 2
    said = capsys.readouterr().err
    assert said == "--load_a2l_C_name: members with the same window_lead wanted, not [4, 5]\n"

    # What does not fit is said before anything is written.
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def refusal(**changed) -> str:
        capsys.readouterr()
        torch.save({**contents, **changed}, path)
        assert main_export_weights.main(arguments) == 2
        return capsys.readouterr().err

    assert "lacks mel_mean" in refusal(mel_mean=None)
    large = {**contents["G"]}
    name = next(key for key, value in large.items() if value.is_floating_point())
    large[name] = large[name] + 1e6
    assert refusal(G=large) == f"speaker.safetensors: {name} has values beyond float16\n"
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert not list(tmp_path.glob(".out-*"))
