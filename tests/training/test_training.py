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
from src.training import content, runs, sampling, speaker_aware, voice_conversion
from tests.data.samples import clips, face


def clips_of(**lengths: int) -> list[dumps.Clip]:
    """Silent clips by name; ``__`` stands for ``/``."""
    return [
        dumps.Clip(
            np.zeros((count, 80)), np.zeros((count, 204)), name.replace("__", "/"), np.zeros(256)
        )
        for name, count in lengths.items()
    ]


def test_each_group_of_speakers_gets_its_share_of_the_batches():
    known = clips_of(s0__a=30, s0__b=10, s1__c=50, s1__d=3, s2__e=5)
    chances = sampling.clip_chances(known, {"s0": 0.8}, least=4)
    assert chances == pytest.approx([0.6, 0.2, 0.2 * 50 / 55, 0, 0.2 * 5 / 55])


def test_clips_of_a_group_can_be_drawn_equally_often_however_long_they_are():
    known = clips_of(s0__a=30, s0__b=10, s1__c=50, s1__d=3, s2__e=5)
    chances = sampling.clip_chances(known, {"s0": 0.8}, least=4, even=True)
    assert chances == pytest.approx([0.4, 0.4, 0.1, 0, 0.1])


def test_a_batch_is_made_of_runs_of_the_length_asked_for():
    data = clips()
    corpus = content.Corpus.of(data, *content.statistics(data), lead=2)
    chances = sampling.clip_chances(data, {}, 32)
    heard, face, moved = content.batch(corpus, chances, np.random.default_rng(0), 96, 32).tensors
    assert [len(part) for part in (heard, face, moved)] == [96, 96, 96]
    starts = []
    for run in moved.numpy().reshape(3, 32, 204):
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
def test_a_run_played_at_another_speed_stays_in_step(speed_change):
    count = np.arange(200, dtype=np.float32)
    # Features and landmarks both say which frame of the clip they are of.
    still = face().reshape(1, -1).astype(np.float32)
    clip = dumps.Clip(
        np.repeat(count[:, None], 80, 1), still + count[:, None], "s0/a", np.ones(256)
    )
    plain = np.zeros(80, np.float32), np.ones(80, np.float32)
    corpus = content.Corpus([clip], still, *plain, lead=3)
    draws = np.random.default_rng(1)
    heard, _, moved = content.batch(corpus, np.ones(1), draws, 960, 96, 0, speed_change).tensors
    runs_of = moved.numpy().reshape(10, 96, 204)[..., 0]
    rates = np.diff(runs_of, axis=1)
    assert np.abs(rates - rates[:, :1]).max() < 1e-4
    assert (np.abs(rates - 1) <= speed_change + 1e-4).all()
    assert rates[:, 0].std() >= 0.5 * speed_change / np.sqrt(3)
    assert runs_of.min() >= 0 and runs_of.max() <= 199
    # The frame that a window speaks for, and those before and after it at the same rate.
    centre = heard.numpy().reshape(10, 96, WINDOW, 80)[..., 0]
    assert np.abs(centre[:, :, 3] - runs_of).max() < 1e-4
    inside = (runs_of > 20) & (runs_of < 170)
    expected = runs_of[..., None] + rates[:, :1, None] * (np.arange(WINDOW) - 3)
    assert np.abs(centre - expected)[inside].max() < 1e-3


def test_a_share_for_nobody_is_refused():
    with pytest.raises(InputError, match="--share zz"):
        sampling.clip_chances(clips_of(s0__a=9), {"zz": 0.5}, least=4)


# Runs


def a_run(folder: Path, steps: int) -> runs.Run:
    return runs.Run(
        steps=steps,
        validate_every=1000,
        log_every=1000,
        device=torch.device("cpu"),
        folder=folder,
        log=folder / "log",
        write=True,
        resume=False,
    )


def content_run(folder: Path, steps: int, bfloat16: bool = False) -> dict:
    runs.seed_everything(0)
    network = ContentBranch(
        ContentConfig(prior_hidden=16, prior=8, lstm_size=16, lstm_layers=2, hidden=(16, 16))
    )
    data = clips()
    statistics = content.statistics(data)
    corpus = content.Corpus.of(data, *statistics, lead=2)
    options = content.Options(
        segment_batch_size=64,
        run_length=4,
        learning_rate=5e-3,
        weight_decay=1e-6,
        l1_weight=1.0,
        square_weight=0.5,
        laplacian_weight=1.0,
        motion_weight=1.0,
        correlation_weight=0.0,
        mel_noise=0.1,
        speed_change=0.0,
        shares={},
        even_clips=False,
        bfloat16=bfloat16,
        seed=0,
    )
    content.train(a_run(folder, steps), network, corpus, corpus, {}, options, statistics)
    return torch.load(folder / "ckpt_last.pth", weights_only=True)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_the_content_branch_learns_that_loud_is_open(tmp_path, bfloat16):
    state = content_run(tmp_path, 400, bfloat16)
    assert {w.dtype for w in state["network"].values() if w.is_floating_point()} == {torch.float32}
    network = ContentBranch(ContentConfig(**state["config"]))
    network.load_state_dict(state["network"])
    data = clips(seed=9)
    corpus = content.Corpus.of(data, *content.statistics(data), lead=2)
    scores = content.validate(network, corpus, {}, torch.device("cpu"))
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
    options = voice_conversion.Options(
        batch_size=4,
        learning_rate=5e-3,
        strength=0.2,
        code_weight=0.1,
        seed=0,
    )
    device = torch.device("cpu")
    before = voice_conversion.validate(network, known, np.array([2]), options, device)
    voice_conversion.train(a_run(tmp_path, 150), network, known, {"c"}, options)
    after = voice_conversion.validate(network, known, np.array([2]), options, device)
    assert after < 0.3 * before
    assert (tmp_path / "ckpt_best.pth").is_file()


def test_the_speaker_aware_branch_learns_where_heads_are(tmp_path):
    torch.manual_seed(0)
    data = clips(frames=100)
    statistics = content.statistics(data)
    corpus = speaker_aware.Corpus.of(data, *statistics, face(), lead=0)
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
    judge = MotionDiscriminator(MotionDiscriminatorConfig(feed_forward=32, hidden=(32, 32)))
    options = speaker_aware.Options(
        sequences=4,
        learning_rate=3e-3,
        discriminator_rate=1e-4,
        laplacian_weight=1.0,
        gan_weight=0.02,
        moment_weight=1.0,
        pose_weight=1.0,
        mel_noise=0.05,
        shares={},
        seed=0,
    )
    device = torch.device("cpu")
    before = speaker_aware.validate(network, corpus, device)["l1"]
    training = a_run(tmp_path, 60)
    speaker_aware.train(training, network, judge, corpus, corpus, options, statistics)
    assert speaker_aware.validate(network, corpus, device)["l1"] < 0.5 * before
    state = torch.load(tmp_path / "ckpt_last.pth", weights_only=True)
    assert state["step"] == 60


def test_windows_are_views_and_those_of_the_whole_clip_standardised():
    features = np.random.default_rng(0).random((90, 80), np.float32)
    mean, deviation = features.mean(0), features.std(0)
    whole = windows(standardise(features, mean, deviation), 6)
    assert whole.shape == (90, WINDOW, 80)
    for first, end in ((0, 90), (0, 4), (3, 7), (70, 74), (86, 90)):
        view = sampling.windows_of(features, mean, deviation, 6, first, end)
        assert view.base is not None
        assert np.array_equal(view, whole[first:end])


def test_portraits_are_normalised_faces():
    turned = content.turned(np.repeat(face()[None], 5, 0), np.random.default_rng(0))
    depth = face()[:, 2]
    expected = [normalise(one, depth)[0].reshape(-1) for one in turned]
    assert np.abs(content.as_portraits(turned, depth) - expected).max() < 1e-6
    assert np.linalg.norm(turned[2, 8]) == pytest.approx(np.linalg.norm(face()[8]))


def test_noise_of_an_item_does_not_depend_on_the_others():
    seeds = np.array([3, 5, 7])
    every = sampling.noise(seeds, (4, 80))
    assert np.array_equal(sampling.noise(seeds[1:2], (4, 80))[0], every[1])
    assert (
        abs(every.std() - 1) < 0.1
        and abs(np.corrcoef(every[0].ravel(), every[1].ravel())[0, 1]) < 0.2
    )
