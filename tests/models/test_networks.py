"""The four networks: names, shapes and outputs of the published release, and other widths."""

import dataclasses
import json
import math
import zlib

import numpy as np
import pytest
import torch

from src.io.checkpoint import load_weights
from src.models.autovc import AutoVC
from src.models.config import (
    AutoVCConfig,
    ContentConfig,
    EnsembleConfig,
    SpeakerConfig,
    TranslationConfig,
    stored_config,
)
from src.models.content import ContentBranch
from src.models.image_translation import ResUnetGenerator
from src.models.speaker_aware import EMBEDDING_GAIN, MotionDiscriminator, SpeakerBranch
from src.training.export import ensemble
from tests.parity import GOLDENS, fill, filler, goldens

TOLERANCE = 1e-4
OFFICIAL = {
    "autovc": lambda: AutoVC(AutoVCConfig()),
    "content": lambda: ContentBranch(ContentConfig()),
    "speaker": lambda: SpeakerBranch(SpeakerConfig()),
    "image_translation": lambda: ResUnetGenerator(TranslationConfig()),
}


@pytest.fixture(scope="module")
def expected() -> dict:
    return goldens("networks")


def given(name: str, *shape: int) -> torch.Tensor:
    return torch.from_numpy(filler(name, shape).astype(np.float32))


def unit(name: str) -> torch.Tensor:
    return torch.nn.functional.normalize(given(name, 1, 256), dim=-1)


def filled(name: str) -> torch.nn.Module:
    network = OFFICIAL[name]()
    fill(network)
    return network


@pytest.mark.parametrize("name", OFFICIAL)
def test_keys_and_shapes_are_the_published_ones(name):
    shapes = json.loads((GOLDENS / "state_dicts.json").read_text())[name]
    network = OFFICIAL[name]()
    mine = {key: list(value.shape) for key, value in network.state_dict().items()}
    unused = getattr(network, "unused", ())
    assert mine == {key: shape for key, shape in shapes.items() if not key.startswith(unused)}


def test_unused_weights_of_the_published_speaker_branch_are_ignored_silently(caplog):
    shapes = json.loads((GOLDENS / "state_dicts.json").read_text())["speaker"]
    assert any(key.startswith("decoder.") for key in shapes)
    network = OFFICIAL["speaker"]()
    given = {key: torch.zeros(shape) for key, shape in shapes.items()}
    load_weights(network, given | {"comb_mlp.0.weight": torch.zeros(1)}, "a.pth")
    assert not caplog.text and not network.out[0].weight.any()


@torch.no_grad()
def test_autovc_as_released(expected):
    bins = np.random.default_rng(zlib.crc32(b"autovc/f0")).integers(0, 257, 64)
    pitch = torch.eye(257)[torch.from_numpy(bins)].unsqueeze(0)
    mel = 0.2 * given("autovc/x", 1, 64, 80) + 0.5
    source, target = unit("autovc/c_org"), unit("autovc/c_trg")
    network = filled("autovc")
    first, final, code = network(mel, source, target, pitch)
    np.testing.assert_allclose(first[:, ::2], expected["autovc_mel"], atol=TOLERANCE)
    np.testing.assert_allclose(final[:, ::2], expected["autovc_mel_postnet"], atol=TOLERANCE)
    np.testing.assert_allclose(code, expected["autovc_code"], atol=TOLERANCE)
    assert torch.equal(network(mel, source), code), "without a target: the code alone"


@torch.no_grad()
def test_content_branch_as_released(expected):
    windows = given("content/au", 32, 18, 80)
    face = 0.5 * given("content/face_id", 1, 204)
    out = filled("content")(windows, face)
    np.testing.assert_allclose(out[::2], expected["content_displacement"], atol=TOLERANCE)


@torch.no_grad()
def test_speaker_branch_as_released_alone_and_in_a_batch(expected):
    windows = given("content/au", 32, 18, 80)
    embedding = unit("speaker/emb") * EMBEDDING_GAIN
    network = filled("speaker")
    displacement, encoding = network(windows, embedding)
    np.testing.assert_allclose(displacement[::2], expected["speaker_displacement"], atol=TOLERANCE)
    np.testing.assert_allclose(encoding[::2], expected["speaker_encoding"], atol=TOLERANCE)
    batch = torch.stack([windows.flip(0), windows])
    batched, _ = network(batch, embedding.expand(2, 1, -1))
    np.testing.assert_allclose(batched[1], displacement, atol=1e-5)


@torch.no_grad()
def test_image_translation_as_released(expected):
    images = torch.sigmoid(given("image_translation/x", 1, 6, 256, 256))
    out = torch.tanh(filled("image_translation")(images))
    np.testing.assert_allclose(
        out[:, :, ::8, ::8], expected["image_translation_rgb"], atol=TOLERANCE
    )
    np.testing.assert_allclose(out.mean(), expected["image_translation_mean"][0], atol=TOLERANCE)


@torch.no_grad()
def test_small_widths_build_from_their_own_config_and_run():
    small = AutoVC(AutoVCConfig(dim_neck=8, dim_pre=96, dim_decoder=128, dim_post=50, freq=8))
    mel, final, code = small(
        torch.rand(2, 32, 80), torch.rand(2, 256), torch.rand(2, 256), torch.rand(2, 32, 257)
    )
    assert mel.shape == final.shape == (2, 32, 80) and code.shape == (2, 4 * 16)
    content = ContentBranch(ContentConfig(prior_hidden=32, prior=40, lstm_size=48, lstm_layers=1))
    assert content.eval()(torch.rand(5, 18, 80), torch.rand(1, 204)).shape == (5, 204)
    speaker = SpeakerBranch(SpeakerConfig(
        audio_size=32, audio_layers=1, feed_forward=64, window_lead=6,
    ))  # fmt: skip
    displacement, encoding = speaker.eval()(torch.rand(7, 18, 80), torch.rand(1, 256))
    assert displacement.shape == (7, 204) and encoding.shape == (7, 128)
    unet = ResUnetGenerator(TranslationConfig(num_downs=4, ngf=8))
    assert unet.eval()(torch.rand(1, 6, 64, 32)).shape == (1, 3, 64, 32)
    for network in (small, content, speaker, unet):
        stored = json.loads(json.dumps(dataclasses.asdict(network.config)))
        config = stored_config(type(network.config), stored)
        assert config == network.config
        type(network)(config).load_state_dict(network.state_dict())
    assert speaker.config.window_lead == 6


def test_inputs_of_invalid_lengths_are_refused():
    with pytest.raises(ValueError, match="33 frames"):
        AutoVC(AutoVCConfig(dim_pre=32))(torch.rand(1, 33, 80), torch.rand(1, 256))
    with pytest.raises(ValueError, match="513 windows"):
        SpeakerBranch(SpeakerConfig())(torch.rand(513, 18, 80), torch.rand(1, 256))


def test_discriminator_scores_each_window_by_itself_and_learns():
    torch.manual_seed(0)
    discriminator = MotionDiscriminator(SpeakerConfig(feed_forward=32))
    time = torch.arange(128) / 10
    smooth = torch.sin(time)[:, None] * torch.ones(204)
    rough = torch.randn(128, 204)
    encoding = torch.zeros(1, 128)
    assert discriminator(smooth, encoding).shape == (3,)
    assert discriminator(torch.stack([smooth, rough]), encoding.expand(2, 1, -1)).shape == (2, 3)
    torch.testing.assert_close(
        discriminator.eval()(smooth, encoding)[0], discriminator(smooth[:64], encoding)[0]
    )
    discriminator.train()
    optimiser = torch.optim.Adam(discriminator.parameters(), 3e-3)
    for _ in range(30):
        loss = (discriminator(smooth, encoding) - 1).square().mean()
        loss += discriminator(rough, encoding).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert math.isfinite(loss.item()) and loss.item() < 0.3


def content_branch(seed: int, **sizes) -> ContentBranch:
    """A branch whose norms have seen data, in eval mode."""
    torch.manual_seed(seed)
    network = ContentBranch(ContentConfig(window_lead=4, **sizes))
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(64, 18, 80) + seed, torch.randn(64, 204))
    return network.eval()


@torch.no_grad()
def test_an_ensemble_averages_the_outputs_of_its_members():
    sizes = [
        {"lstm_size": 12, "prior": 7, "prior_hidden": 9, "lstm_layers": 2},
        {"lstm_size": 5, "prior": 8, "prior_hidden": 4, "lstm_layers": 1},
        {"lstm_size": 6, "prior": 3, "prior_hidden": 5, "lstm_layers": 2},
    ]
    branches = [content_branch(seed, **each) for seed, each in enumerate(sizes)]
    network = ensemble(branches).eval()
    assert network.config.window_lead == 4
    stored = json.loads(json.dumps(dataclasses.asdict(network.config)))
    assert stored_config(ContentConfig, stored) == network.config
    windows, face = torch.randn(5, 18, 80), torch.randn(1, 204)
    each = torch.stack([branch(windows, face) for branch in branches])
    assert each.std(0).mean() > 0.05
    torch.testing.assert_close(network(windows, face), each.mean(0), atol=1e-6, rtol=0)


def test_members_with_windows_cut_in_different_ways_are_refused():
    with pytest.raises(ValueError, match=r"same window_lead wanted, not \[0, 3\]"):
        EnsembleConfig((ContentConfig(), ContentConfig(window_lead=3)))


@pytest.mark.parametrize(("stored", "mends"), [({"ngf": 8}, False), ({"mends": True}, True)])
def test_a_refinement_network_reads_and_returns_more_channels(stored, mends):
    config = stored_config(TranslationConfig, stored)
    assert config.mends is mends and (config.inputs, config.outputs) == ((6, 3), (9, 4))[mends]


def test_sizes_of_other_versions_are_left_to_the_shapes_of_the_weights():
    assert stored_config(ContentConfig, {"lstm_size": 8, "face": 204}) == ContentConfig(lstm_size=8)
