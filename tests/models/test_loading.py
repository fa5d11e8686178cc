"""Checkpoints that do not go with the pipeline are refused in one line that names the file."""

import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from src.errors import InputError
from src.io.checkpoint import read_checkpoint
from src.models import loading, registry
from src.models.autovc import AutoVC
from src.models.config import (
    AutoVCConfig,
    ContentConfig,
    EnsembleConfig,
    SpeakerConfig,
    stored_config,
)
from src.models.content import ContentBranch, ContentEnsemble
from src.models.speaker_aware import SpeakerBranch
from tests.parity import PARITY

CHECKPOINTS = Path(__file__).resolve().parents[2] / "examples" / "ckpt"
SMALL = {"prior_hidden": 8, "prior": 8, "lstm_size": 8, "lstm_layers": 1}


def content_file(path: Path, config: dict, **others) -> Path:
    """A content checkpoint whose weights fit its config, where that makes a network at all."""
    try:
        network = ContentBranch(stored_config(ContentConfig, config))
    except (TypeError, ValueError):
        network = ContentBranch(ContentConfig(**SMALL))
    part = network.state_dict()
    torch.save({"model_g_face_id": part, "config": config, **others}, path)
    return path


def refusal(path: Path, name: str = "content") -> str:
    with pytest.raises(InputError) as raised:
        loading.load_motion_models(CHECKPOINTS, {name: path}, "cpu")
    message = str(raised.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"lstm_size": []}, "makes no content network: lstm_size"),
        ({"prior": "x"}, "makes no content network"),
        ({"window_lead": 30}, "window_lead: 30 is not a whole number from 0 to 17"),
        ({"window_lead": -1}, "window_lead: -1"),
        ({"window_lead": "x"}, "window_lead: 'x'"),
        ({"dropout": "nan"}, "dropout: 'nan' is not a finite number from 0 to 1"),
        ({"members": []}, "same window_lead wanted"),
        ({"members": 3}, "makes no content network"),
        ({"members": [3]}, "makes no content network"),
    ],
)
def test_invalid_configs_are_refused(tmp_path, config, reason):
    path = content_file(tmp_path / "content.pth", {**SMALL, **config})
    assert reason in refusal(path)


def test_configs_that_ask_for_more_than_the_file_has(tmp_path):
    path = tmp_path / "content.pth"
    part = ContentBranch(ContentConfig(**SMALL)).state_dict()
    torch.save({"model_g_face_id": part, "config": SMALL | {"lstm_size": 8192}}, path)
    assert "misshapen tensors: bilstm" in refusal(path)
    torch.save({"model_g_face_id": part, "config": SMALL | {"lstm_size": 10**9}}, path)
    assert "lstm_size: 1000000000 is not a whole number from 1 to 8192" in refusal(path)
    torch.save({"model_g_face_id": part, "config": {"members": [SMALL] * 1000}}, path)
    assert "1000 members, expected at most 32" in refusal(path)


def test_the_longest_sequence_must_fit_its_bounds_and_the_weights(tmp_path):
    config = {"audio_size": 8, "audio_layers": 1, "feed_forward": 8}
    path = tmp_path / "speaker.pth"
    part = SpeakerBranch(SpeakerConfig(**config)).state_dict()
    torch.save({"G": part, "config": config | {"max_length": 1}}, path)
    assert "max_length: 1" in refusal(path, "speaker")
    torch.save({"G": part, "config": config | {"max_length": 100}}, path)
    assert "misshapen tensors: encoder.pe.pe" in refusal(path, "speaker")


def test_the_frames_of_a_code_must_divide_a_chunk(tmp_path):
    config = {"dim_neck": 2, "dim_pre": 8, "dim_post": 8, "freq": 5}
    path = tmp_path / "autovc.pth"
    torch.save({"model": AutoVC(AutoVCConfig(**config)).state_dict(), "config": config}, path)
    assert "freq: 5" in refusal(path, "autovc")


def test_ensembles_load(tmp_path):
    members = [ContentConfig(**SMALL, window_lead=3), ContentConfig(window_lead=3)]
    network = ContentEnsemble(EnsembleConfig(tuple(members)))
    path = tmp_path / "content.pth"
    config = dataclasses.asdict(network.config)
    torch.save({"model_g_face_id": network.state_dict(), "config": config}, path)
    branch = loading.load_motion_models(CHECKPOINTS, {"content": path}, "cpu").content_branch
    assert branch.config.window_lead == 3 and not branch.training
    assert [member.config.lstm_size for member in branch.members] == [8, 256]


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
def test_invalid_statistics_are_refused(tmp_path, name, value):
    both = {"mel_mean": torch.zeros(80), "mel_std": torch.ones(80), name: value}
    path = content_file(tmp_path / "content.pth", SMALL, **both)
    assert name in refusal(path) or "standard deviation" in refusal(path)


def test_statistics_come_with_their_checkpoint(tmp_path):
    mean, std = torch.linspace(0, 1, 80), torch.linspace(1, 2, 80)
    path = content_file(tmp_path / "content.pth", SMALL, mel_mean=mean, mel_std=std)
    networks = loading.load_motion_models(CHECKPOINTS, {"content": path}, "cpu")
    np.testing.assert_array_equal(networks.mel_mean, mean)
    np.testing.assert_array_equal(networks.mel_std, std)


def test_embedded_constants_are_not_changed():
    networks = loading.load_motion_models(CHECKPOINTS, {}, "cpu")
    stored, _ = read_checkpoint(CHECKPOINTS / "embedded" / "constants.safetensors")
    for name in registry.CONSTANTS:
        np.testing.assert_array_equal(getattr(networks, name), stored[name].float())


def test_invalid_published_constants_are_refused(tmp_path):
    numbers = np.concatenate([np.zeros(80), np.ones(79), [0.0]])
    path = tmp_path / registry.STATISTICS_FILE
    np.savetxt(path, numbers)
    (tmp_path / "obama_emb.txt").write_text("0 " * 256)
    np.savetxt(tmp_path / registry.STANDARD_FACE_FILE, np.zeros((68, 3)))
    with pytest.raises(InputError, match="a standard deviation"):
        loading._published_constants(tmp_path)
    path.write_text("words " * 160)
    with pytest.raises(InputError, match="not a text of numbers"):
        loading._published_constants(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        loading._published_constants(tmp_path)


def test_the_standard_face_is_the_published_one_or_the_embedded_one(tmp_path):
    embedded = loading.load_standard_face(CHECKPOINTS)
    assert embedded.shape == (68, 3) and embedded.dtype == np.float64
    np.savetxt(tmp_path / registry.STANDARD_FACE_FILE, np.ones(204))
    assert (loading.load_standard_face(tmp_path) == 1).all()


@pytest.mark.skipif(not PARITY.is_dir(), reason="needs ../shared/parity")
def test_digests_are_those_of_the_published_files():
    files = json.loads((PARITY / "official_checkpoints.json").read_text())
    expected = {Path(name).name: file["sha256"] for name, file in files.items()}
    assert expected == registry.DIGESTS


def test_the_published_image_translation_is_automatic_the_embedded_one_when_asked_for(tmp_path):
    assert registry.find_image_translation(tmp_path, None, "auto") is None
    with pytest.raises(InputError, match="--renderer unet: needs .*--load_G_name"):
        registry.find_image_translation(tmp_path, None, "unet")
    embedded = tmp_path / "embedded" / "translation.safetensors"
    embedded.parent.mkdir()
    embedded.touch()
    assert registry.find_image_translation(tmp_path, None, "unet") == embedded
    assert registry.find_image_translation(tmp_path, None, "auto") is None
    published = tmp_path / "ckpt_116_i2i_comb.pth"
    published.touch()
    for renderer in ("auto", "unet"):
        assert registry.find_image_translation(tmp_path, None, renderer) == published
    assert registry.find_image_translation(tmp_path, embedded, "unet") == embedded
    assert registry.find_image_translation(tmp_path, embedded, "warp") is None
    with pytest.raises(InputError, match="other: no such checkpoint"):
        registry.find_image_translation(tmp_path, tmp_path / "other", "auto")


def test_speaker_embeddings_are_read_by_name(tmp_path):
    path = tmp_path / "emb.pickle"
    vector = np.linspace(0, 1, 256)
    path.write_bytes(pickle.dumps({"ann": vector, "bob": vector[None]}))
    read = loading.load_speaker_embeddings(path)
    assert list(read) == ["ann", "bob"] and read["bob"].dtype == np.float32
    np.testing.assert_allclose(read["bob"], vector, atol=1e-7)
    for contents, reason in [
        ({"bob": np.zeros(3)}, "the embedding 'bob' of shape"),
        ([1, 2], "not a dict"),
    ]:
        path.write_bytes(pickle.dumps(contents))
        with pytest.raises(InputError, match=reason):
            loading.load_speaker_embeddings(path)
