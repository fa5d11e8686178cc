"""The trainings: drawing from clips, networks that learn."""

from pathlib import Path

import numpy as np
import pytest
import torch

from src.data import dumps
from src.errors import InputError
from src.face.geometry import normalise
from src.models.autovc import AutoVC
from src.models.config import AutoVCConfig, ContentConfig, MotionDiscriminatorConfig, SpeakerConfig
from src.models.content import ContentBranch
from src.models.dimensions import WINDOW
from src.models.speaker_aware import MotionDiscriminator, SpeakerBranch
from src.speech.features import standardise, windows
from src.training import content, corpus, loop, speaker_aware, voice_conversion
from src.training.corpus import Corpus, clip_probabilities, feature_statistics
from src.training.settings import (
    ContentTraining,
    SpeakerAwareTraining,
    VoiceConversionTraining,
)
from tests.data.samples import clips, face


def clips_of(**lengths: int) -> list[dumps.Clip]:
    """Silent clips by name; ``__`` stands for ``/``."""
    return [
        dumps.Clip(
            np.zeros((count, 80)), np.zeros((count, 204)), name.replace("__", "/"), np.zeros(256)
        )
        for name, count in lengths.items()
    ]


def test_each_group_of_speakers_gets_its_fraction_of_the_batches():
    known = clips_of(s0__a=30, s0__b=10, s1__c=50, s1__d=3, s2__e=5)
    probabilities = clip_probabilities(known, {"s0": 0.8}, 4)
    assert probabilities == pytest.approx([0.6, 0.2, 0.2 * 50 / 55, 0, 0.2 * 5 / 55])


def test_clips_of_a_group_can_be_drawn_equally_often_however_long_they_are():
    known = clips_of(s0__a=30, s0__b=10, s1__c=50, s1__d=3, s2__e=5)
    probabilities = clip_probabilities(known, {"s0": 0.8}, 4, even=True)
    assert probabilities == pytest.approx([0.4, 0.4, 0.1, 0, 0.1])


def content_settings(folder: Path = Path(), **changes) -> ContentTraining:
    return ContentTraining(root_dir=folder, device="cpu", **changes)


def test_a_batch_consists_of_runs_of_the_length_asked_for():
    data = clips()
    corpus = Corpus.of(data, feature_statistics(data), lead=2)
    settings = content_settings(segment_batch_size=96, run_length=32, mel_noise=0.0)
    probabilities = clip_probabilities(data, {}, 32)
    drawn = content.draw_batch(corpus, probabilities, np.random.default_rng(0), settings)
    assert [len(part) for part in drawn.tensors] == [96, 96, 96]
    starts = []
    for run in drawn.tensors[2].numpy().reshape(3, 32, 204):
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
def test_a_run_played_at_another_speed_stays_in_sync(speed_change):
    count = np.arange(200, dtype=np.float32)
    # Features and landmarks are both the number of their frame in the clip.
    still = face().reshape(1, -1).astype(np.float32)
    clip = dumps.Clip(
        np.repeat(count[:, None], 80, 1), still + count[:, None], "s0/a", np.ones(256)
    )
    plain = np.zeros(80, np.float32), np.ones(80, np.float32)
    corpus = Corpus([clip], still, *plain, lead=3)
    settings = content_settings(
        segment_batch_size=960, run_length=96, mel_noise=0.0, speed_change=speed_change
    )
    drawn = content.draw_batch(corpus, np.ones(1), np.random.default_rng(1), settings)
    inputs, _, moved = drawn.tensors
    runs_of = moved.numpy().reshape(10, 96, 204)[..., 0]
    rates = np.diff(runs_of, axis=1)
    assert np.abs(rates - rates[:, :1]).max() < 1e-4
    assert (np.abs(rates - 1) <= speed_change + 1e-4).all()
    assert rates[:, 0].std() >= 0.5 * speed_change / np.sqrt(3)
    assert runs_of.min() >= 0 and runs_of.max() <= 199
    # The frame that a window is for, and those before and after it at the same rate.
    centre = inputs.numpy().reshape(10, 96, WINDOW, 80)[..., 0]
    assert np.abs(centre[:, :, 3] - runs_of).max() < 1e-4
    inside = (runs_of > 20) & (runs_of < 170)
    expected = runs_of[..., None] + rates[:, :1, None] * (np.arange(WINDOW) - 3)
    assert np.abs(centre - expected)[inside].max() < 1e-3


def test_a_share_for_nobody_is_refused():
    with pytest.raises(InputError, match="--share zz"):
        clip_probabilities(clips_of(s0__a=9), {"zz": 0.5}, 4)


# Trainings

CPU = torch.device("cpu")


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
    network = ContentBranch(
        ContentConfig(prior_hidden=16, prior=8, lstm_size=16, lstm_layers=2, hidden=(16, 16))
    )
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


def test_voice_conversion_learns_to_repeat(tmp_path):
    rng = np.random.default_rng(0)
    mel = 0.5 + 0.3 * np.sin(np.arange(600)[:, None] / 7 + np.arange(80) / 9)
    known = dumps.Voices(
        mel=mel.astype(np.float16),
        f0_bins=rng.integers(0, 257, 600).astype(np.int16),
        starts=np.array([0, 200, 400, 600]),
        embeddings=rng.standard_normal((3, 256)).astype(np.float32) / 16,
        names=np.array(["a", "b", "c"]),
        speakers=np.array(["a", "b", "c"]),
    )
    dumps.write_voices(tmp_path / "dump" / "voices.npz", known)
    known = dumps.read_voices(tmp_path / "dump" / "voices.npz")
    torch.manual_seed(0)
    network = AutoVC(AutoVCConfig(dim_neck=4, dim_pre=32, freq=8))
    settings = VoiceConversionTraining(
        root_dir=tmp_path,
        write=True,
        steps=150,
        held_out=("c",),
        batch_size=4,
        learning_rate=5e-3,
        voice_change=0.2,
    )
    before = voice_conversion.validate(network, known, settings, CPU)["refined"]
    voice_conversion.train(settings, CPU, network, known)
    after = voice_conversion.validate(network, known, settings, CPU)["refined"]
    assert after < 0.3 * before
    assert (settings.checkpoint_folder / "ckpt_best.pth").is_file()


def test_the_speaker_aware_branch_learns_where_heads_are(tmp_path):
    torch.manual_seed(0)
    data = clips(frames=100)
    corpus = Corpus.of(data, feature_statistics(data), 0, face())
    network = SpeakerBranch(
        SpeakerConfig(
            audio_size=16,
            audio_layers=1,
            feed_forward=32,
            max_length=64,
            hidden=(32, 32),
            unused_decoder=False,
        )
    )
    discriminator = MotionDiscriminator(MotionDiscriminatorConfig(feed_forward=32, hidden=(32, 32)))
    settings = SpeakerAwareTraining(
        root_dir=tmp_path,
        write=True,
        steps=60,
        learning_rate=3e-3,
        pose_weight=1.0,
        mel_noise=0.05,
    )
    before = speaker_aware.validate(network, corpus, CPU)["l1"]
    speaker_aware.train(settings, CPU, network, discriminator, corpus, corpus)
    assert speaker_aware.validate(network, corpus, CPU)["l1"] < 0.5 * before
    state = torch.load(settings.last_checkpoint, weights_only=True)
    assert state["step"] == 60


def test_windows_are_views_and_those_of_the_whole_clip_standardised():
    features = np.random.default_rng(0).random((90, 80), np.float32)
    mean, std = features.mean(0), features.std(0)
    whole = windows(standardise(features, mean, std), 6)
    assert whole.shape == (90, WINDOW, 80)
    clip = dumps.Clip(features, np.zeros((90, 204)), "s0/a", np.zeros(256))
    data = Corpus([clip], np.zeros((1, 204)), mean, std, lead=6)
    for first, end in ((0, 90), (0, 4), (3, 7), (70, 74), (86, 90)):
        view = data.windows(0, first, end)
        assert view.base is not None
        assert np.array_equal(view, whole[first:end])


def test_portraits_are_normalised_faces():
    turned = content.turn(np.repeat(face()[None], 5, 0), np.random.default_rng(0))
    depth = face()[:, 2]
    expected = [normalise(one, depth)[0].reshape(-1) for one in turned]
    assert np.abs(content.as_portraits(turned, depth) - expected).max() < 1e-6
    assert np.linalg.norm(turned[2, 8]) == pytest.approx(np.linalg.norm(face()[8]))


def test_noise_of_an_item_does_not_depend_on_the_others():
    seeds = np.array([3, 5, 7])
    every = corpus.noise(seeds, (4, 80))
    assert np.array_equal(corpus.noise(seeds[1:2], (4, 80))[0], every[1])
    assert (
        abs(every.std() - 1) < 0.1
        and abs(np.corrcoef(every[0].ravel(), every[1].ravel())[0, 1]) < 0.2
    )
