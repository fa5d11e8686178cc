"""Checkpoints that do not go with the pipeline are refused in one line that names the file."""

from pathlib import Path

import numpy as np
import pytest
import torch

from src.errors import InputError
from src.io.checkpoint import read_checkpoint
from src.models import weights
from src.models.content import ContentBranch
from src.models.speaker_aware import SpeakerBranch

CHECKPOINTS = Path(__file__).resolve().parents[2] / "examples" / "ckpt"
SMALL = {"prior_hidden": 8, "prior": 8, "lstm_size": 8, "lstm_layers": 1, "hidden": [8, 8]}


def content_file(path: Path, config: dict, **others) -> Path:
    """A content checkpoint whose weights fit its config, where that makes a network at all."""
    try:
        network = ContentBranch(**config)
    except (TypeError, IndexError):
        network = ContentBranch(**SMALL)
    part = network.state_dict()
    torch.save({"model_g_face_id": part, "config": config, **others}, path)
    return path


def refusal(path: Path, name: str = "content") -> str:
    with pytest.raises(InputError) as raised:
        weights.load_audio_networks(CHECKPOINTS, {name: path}, "cpu")
    message = str(raised.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"hidden": []}, "makes no content network"),
        ({"unheard_of": 1}, "makes no content network"),
        ({"prior": "x"}, "makes no content network"),
        ({"window_lead": 30}, "window_lead 30"),
        ({"window_lead": -1}, "window_lead -1"),
        ({"window_lead": "x"}, "window_lead 'x'"),
        ({"mel": 40}, "mel 40, not 80"),
        ({"window": 9}, "window 9, not 18"),
        ({"face": 60}, "face 60, not 204"),
    ],
)
def test_configs_that_cannot_be(tmp_path, config, reason):
    path = content_file(tmp_path / "content.pth", {**SMALL, **config})
    assert reason in refusal(path)


def test_numbers_that_do_not_go_together(tmp_path):
    config = {"model_size": 8, "heads": 3, "layers": 1, "feed_forward": 8}
    path = tmp_path / "speaker.pth"
    network = SpeakerBranch(**config)
    torch.save({"G": network.state_dict(), "config": config}, path)
    assert "makes no speaker network" in refusal(path, "speaker")
    config["max_length"], config["heads"] = 1, 2
    torch.save({"G": SpeakerBranch(**config).state_dict(), "config": config}, path)
    assert "max_length 1" in refusal(path, "speaker")


def test_codes_must_fill_a_piece(tmp_path):
    from src.models.autovc import Generator

    config = {"dim_neck": 2, "dim_pre": 8, "dim_post": 8, "freq": 5}
    path = tmp_path / "autovc.pth"
    torch.save({"model": Generator(**config).state_dict(), "config": config}, path)
    assert "freq 5" in refusal(path, "autovc")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mel_mean", "x"),
        ("mel_mean", torch.zeros(40)),
        ("mel_mean", torch.full((80,), torch.nan)),
        ("mel_std", torch.zeros(80)),
        ("mel_std", -torch.ones(80)),
        ("mel_std", None),
    ],
)
def test_statistics_that_cannot_be(tmp_path, name, value):
    both = {"mel_mean": torch.zeros(80), "mel_std": torch.ones(80), name: value}
    path = content_file(tmp_path / "content.pth", SMALL, **both)
    assert name in refusal(path) or "deviation" in refusal(path)


def test_a_good_checkpoint_brings_its_statistics(tmp_path):
    mean, deviation = torch.linspace(0, 1, 80), torch.linspace(1, 2, 80)
    path = content_file(tmp_path / "content.pth", SMALL, mel_mean=mean, mel_std=deviation)
    networks = weights.load_audio_networks(CHECKPOINTS, {"content": path}, "cpu")
    np.testing.assert_array_equal(networks.mel_mean, mean)
    np.testing.assert_array_equal(networks.mel_std, deviation)


def test_embedded_constants_come_as_they_are():
    networks = weights.load_audio_networks(CHECKPOINTS, {}, "cpu")
    stored, _ = read_checkpoint(CHECKPOINTS / "embedded" / "constants.safetensors")
    for name in weights.SHAPES:
        np.testing.assert_array_equal(getattr(networks, name), stored[name].float())


def test_texts_that_cannot_be_used(tmp_path):
    numbers = np.concatenate([np.zeros(80), np.ones(79), [0.0]])
    path = tmp_path / weights.STATISTICS_FILE
    np.savetxt(path, numbers)
    with pytest.raises(InputError, match="deviation"):
        weights._read_texts(tmp_path / "target", path, tmp_path / "face")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        weights._read_numbers(tmp_path, 160)


def test_the_published_image_translation_is_automatic_the_embedded_one_when_asked_for(tmp_path):
    assert weights.find_translation(tmp_path, None, "auto") is None
    with pytest.raises(InputError, match="--renderer unet: needs .*--load_G_name"):
        weights.find_translation(tmp_path, None, "unet")
    embedded = tmp_path / "embedded" / "translation.safetensors"
    embedded.parent.mkdir()
    embedded.touch()
    assert weights.find_translation(tmp_path, None, "unet") == embedded
    assert weights.find_translation(tmp_path, None, "auto") is None
    published = tmp_path / "ckpt_116_i2i_comb.pth"
    published.touch()
    for renderer in ("auto", "unet"):
        assert weights.find_translation(tmp_path, None, renderer) == published
    assert weights.find_translation(tmp_path, embedded, "unet") == embedded
    assert weights.find_translation(tmp_path, embedded, "warp") is None
    with pytest.raises(InputError, match="other: no such checkpoint"):
        weights.find_translation(tmp_path, tmp_path / "other", "auto")
