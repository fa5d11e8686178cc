"""Training of the content branch: batches, faces, a network that learns."""

from pathlib import Path

import numpy as np
import pytest
import torch

from src.data import dumps
from src.face.geometry import normalise
from src.models.config import ContentConfig
from src.models.content import ContentBranch
from src.models.dimensions import WINDOW
from src.training import content, loop
from src.training.corpus import Corpus, clip_probabilities, feature_statistics
from src.training.settings import ContentTraining
from tests.data.samples import clips, face

CPU = torch.device("cpu")


def content_settings(folder: Path = Path(), **changes) -> ContentTraining:
    return ContentTraining(root_dir=folder, device="cpu", **changes)


def test_a_batch_consists_of_runs_of_the_length_asked_for():
    data = clips()
    corpus = Corpus.of(data, feature_statistics(data), lead=2)
    settings = content_settings(segment_batch_size=96, run_length=32)
    probabilities = clip_probabilities(data, {}, 32)
    drawn = content.draw_batch(corpus, probabilities, np.random.default_rng(0), settings)
    assert [part.shape[:2] for part in drawn.tensors] == 3 * [(3, 32)]
    starts = []
    for run in drawn.tensors[2].numpy():
        # Each run is 32 consecutive frames of one clip.
        places = [
            (clip, start)
            for clip in range(len(data))
            for start in range(len(data[clip].features) - 31)
            if np.array_equal(corpus.displacements(clip, start, start + 32), run)
        ]
        starts += places[:1]
    assert len(starts) == 3


@pytest.mark.parametrize("speed_change", [0.0, 0.2])
def test_a_run_played_at_another_speed_stays_in_sync(monkeypatch, speed_change):
    monkeypatch.setattr("src.training.corpus.MEL_NOISE", 0.0)
    count = np.arange(200, dtype=np.float32)
    # Features and landmarks are both the number of their frame in the clip.
    still = face().reshape(1, -1).astype(np.float32)
    clip = dumps.Clip(
        np.repeat(count[:, None], 80, 1), still + count[:, None], "s0/a", np.ones(256)
    )
    plain = np.zeros(80, np.float32), np.ones(80, np.float32)
    corpus = Corpus([clip], still, *plain, lead=3)
    settings = content_settings(segment_batch_size=960, run_length=96, speed_change=speed_change)
    drawn = content.draw_batch(corpus, np.ones(1), np.random.default_rng(1), settings)
    inputs, _, displacements = drawn.tensors
    runs_of = displacements.numpy()[..., 0]
    rates = np.diff(runs_of, axis=1)
    assert np.abs(rates - rates[:, :1]).max() < 1e-4
    assert (np.abs(rates - 1) <= speed_change + 1e-4).all()
    assert rates[:, 0].std() >= 0.5 * speed_change / np.sqrt(3)
    assert runs_of.min() >= 0 and runs_of.max() <= 199
    # The frame that a window is for, and those before and after it at the same rate.
    centre = inputs.numpy()[..., 0]
    assert np.abs(centre[:, :, 3] - runs_of).max() < 1e-4
    inside = (runs_of > 20) & (runs_of < 170)
    expected = runs_of[..., None] + rates[:, :1, None] * (np.arange(WINDOW) - 3)
    assert np.abs(centre - expected)[inside].max() < 1e-3


@pytest.mark.parametrize("bfloat16", [False, True])
def test_the_content_branch_learns_that_loud_is_open(tmp_path, bfloat16):
    settings = content_settings(
        tmp_path,
        write=True,
        steps=400,
        segment_batch_size=64,
        learning_rate=5e-3,
        bfloat16=bfloat16,
    )
    loop.begin(settings)
    network = ContentBranch(ContentConfig(prior_hidden=16, prior=8, lstm_size=16, lstm_layers=2))
    data = clips()
    corpus = Corpus.of(data, feature_statistics(data), lead=2)
    content.train(settings, CPU, network, corpus, corpus, {})
    state = torch.load(settings.last_checkpoint, weights_only=True)
    assert {w.dtype for w in state["network"].values() if w.is_floating_point()} == {torch.float32}
    network = ContentBranch(ContentConfig(**state["config"]))
    network.load_state_dict(state["network"])
    data = clips(seed=9)
    corpus = Corpus.of(data, feature_statistics(data), lead=2)
    scores = content.validate(network, corpus, {}, CPU)
    assert scores["correlation"] > 0.8


def test_portraits_are_normalised_faces():
    turned = content.turn(np.repeat(face()[None], 5, 0), np.random.default_rng(0))
    depth = face()[:, 2]
    expected = [normalise(one, depth)[0].reshape(-1) for one in turned]
    assert np.abs(content.as_portraits(turned, depth) - expected).max() < 1e-6
    assert np.linalg.norm(turned[2, 8]) == pytest.approx(np.linalg.norm(face()[8]))
