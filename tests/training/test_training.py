"""The trainings: data without leaks, dumps that are only data, networks that learn."""

import os
import pickle
import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
import torch

from src.data import (
    analysis,
    augment,
    dumps,
    lip_shapes,
    sentences,
    speech,
    splits,
    synthesis,
    tracks,
    voices,
)
from src.errors import InputError
from src.face import registration as faces
from src.face.geometry import normalise
from src.face.registration import register
from src.models.autovc import AutoVC
from src.models.config import AutoVCConfig, ContentConfig, MotionDiscriminatorConfig, SpeakerConfig
from src.models.content import ContentBranch
from src.models.dimensions import WINDOW
from src.models.speaker_aware import MotionDiscriminator, SpeakerBranch
from src.speech.features import standardise, windows
from src.training import content, runs, sampling, speaker_aware, voice_conversion


def face() -> np.ndarray:
    """A symmetric frontal face, normalised: enough of one for geometry."""
    rng = np.random.default_rng(0)
    half = rng.uniform(-0.5, 0.5, (68, 3))
    order = faces.mirror_order()
    points = 0.5 * (half + half[order] * [-1, 1, 1])
    points[0], points[16] = (-0.8, 0, -0.5), (0.8, 0, -0.5)
    points[36], points[45] = (-0.5, -0.1, 0.1), (0.5, -0.1, 0.1)
    return points


# Voices


def test_a_voice_changer_of_no_strength_changes_nothing():
    mel = torch.rand(3, 40, 80)
    changed = augment.VoiceChanger(torch.Generator().manual_seed(0), strength=0.0)(mel)
    assert torch.allclose(changed, mel, atol=1e-5)


def test_a_shorter_throat_moves_a_formant_up():
    changer = augment.VoiceChanger(torch.Generator().manual_seed(0))
    mel = torch.zeros(1, 4, 80)
    mel[..., 30] = 1.0
    higher = changer._stretch_frequencies(mel, torch.tensor([1.15]))
    ratio = changer.centres[higher[0, 0].argmax()] / changer.centres[30]
    assert ratio.item() == pytest.approx(1.15, abs=0.05)


def test_mel_centres_are_the_sound_librarys():
    import librosa

    expected = librosa.mel_frequencies(82, fmin=90, fmax=7600)[1:-1]
    assert np.abs(augment.mel_centres().numpy() - expected).max() < 0.01


def test_speakers_are_read_off_file_names():
    assert voices.speaker_of("p225_024") == "p225"
    assert voices.speaker_of("3005-163389-0005") == "3005"
    assert voices.speaker_of("LJ001-0001") == "LJ"


# Lips from phones


def test_lips_are_shut_all_through_a_bilabial_and_wide_in_an_open_vowel():
    phones = [("pau", 0, 0.2), ("m", 0.2, 0.3), ("aa", 0.3, 0.5), ("p", 0.5, 0.6), ("pau", 0.6, 1)]
    gap, _ = lip_shapes.mouth_tracks(phones, 62, rate=62.5)
    times = np.arange(62) / 62.5
    assert np.all(gap[(times >= 0.2) & (times <= 0.3)] == 0)
    assert np.all(gap[(times >= 0.5) & (times <= 0.6)] == 0)
    assert gap[(times > 0.3) & (times < 0.5)].max() > 0.6 * lip_shapes.FULL_OPENING
    assert gap[times > 0.9].max() < 0.05 * lip_shapes.FULL_OPENING


def test_rounded_vowels_narrow_the_mouth_and_spread_ones_widen_it():
    _, rounded = lip_shapes.mouth_tracks([("uw", 0, 0.4)], 25, rate=62.5)
    _, spread = lip_shapes.mouth_tracks([("iy", 0, 0.4)], 25, rate=62.5)
    assert rounded[12] < -0.03
    assert spread[12] > 0.03


def test_the_lip_map_recovers_a_linear_mouth():
    rng = np.random.default_rng(1)
    gap, width = rng.random(50), rng.random(50)
    moves = np.zeros((50, 68, 3))
    for upper, lower in ((61, 67), (62, 66), (63, 65)):
        moves[:, upper, 1], moves[:, lower, 1] = -0.3 * gap, 0.7 * gap
    moves[:, 54, 0] = width
    lip_map = lip_shapes.fit_lip_map(moves)
    again = lip_map.landmarks(gap, width).reshape(50, 68, 3)
    assert np.abs(again - moves).max() < 1e-9


def test_sentences_are_the_same_for_the_same_seed():
    one, two = sentences.sentences(3), sentences.sentences(3)
    first = [next(one) for _ in range(20)]
    assert first == [next(two) for _ in range(20)]
    assert len(set(first)) > 10


def test_espeaks_mnemonics_become_cmu_phones():
    assert synthesis.cmu_of("aI@") == ["ay", "ax"]
    assert synthesis.cmu_of("tS") == ["ch"]
    assert synthesis.cmu_of("_:") == ["pau"]


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
def test_flites_speech_ends_in_its_last_pause():
    spoken = synthesis.speak_flite("Papa moved the map.", "kal", stretch=1.2, pitch=110.0)
    assert [name for name, _, _ in spoken.phones].count("p") == 3
    name, start, end = spoken.phones[-1]
    assert name == "pau"
    assert start < len(spoken.wav) / 16000 < end + 0.01  # kal cuts the pause short
    loud = np.flatnonzero(np.abs(spoken.wav.astype(float)) > 2000) / 16000
    assert spoken.phones[0][2] - 0.02 < loud[0] < spoken.phones[1][2]


# Faces


def test_the_mirror_of_the_mirror_is_the_face():
    order = faces.mirror_order()
    assert np.array_equal(order[order], np.arange(68))
    assert (order[36], order[37], order[48], order[60], order[31]) == (45, 44, 54, 64, 35)


def test_the_standard_face_is_upright_symmetric_and_of_the_right_size():
    rng = np.random.default_rng(2)
    many = []
    for _ in range(8):
        angle = rng.normal(0, 0.2)
        turn = np.array(
            [[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
        )
        many.append(face() @ turn * rng.uniform(50, 200) + rng.uniform(0, 300, 3))
    standard = faces.standard_face(np.array(many))
    order = faces.mirror_order()
    assert np.abs(standard - standard[order] * [-1, 1, 1]).max() < 1e-9
    assert standard[16, 0] - standard[0, 0] == pytest.approx(1.6)
    assert standard[36, 1] == pytest.approx(standard[0, 1], abs=1e-6)


def test_a_clips_gaps_are_filled_and_a_clip_without_a_face_is_refused():
    track = np.repeat(face()[None], 20, 0) + np.arange(20)[:, None, None]
    track[7:9] = np.nan
    clean = tracks.clean_track(track)
    assert np.abs(clean - (face() + np.arange(20)[:, None, None])).max() < 1e-6
    track[:10] = np.nan
    assert tracks.clean_track(track) is None


def test_sound_that_lags_loses_its_start():
    track = np.arange(50.0)[:, None, None] * np.ones((1, 68, 3))
    late, first = tracks.at_audio_rate(track, 0.2, 32000)
    assert first == 3200
    assert late[0, 0, 0] == 0
    early, first = tracks.at_audio_rate(track, -0.2, 32000)
    assert first == 0
    assert early[0, 0, 0] == pytest.approx(5.0)
    assert early[10, 0, 0] == pytest.approx(5.0 + 10 / 62.5 * 25)


def test_head_motion_survives_registering_a_whole_clip():
    shift = np.linspace(-5, 5, 30)[:, None, None] * [1.0, 0, 0]
    track = face() * 100 + shift
    moved = faces.register_clip(track, face())
    assert np.ptp(moved[:, 30, 0]) == pytest.approx(0.1, rel=1e-3)
    still = register(track, face())
    assert np.ptp(still[:, 30, 0]) < 1e-9


# Dumps


def clips(count: int = 6, frames: int = 90, seed: int = 0) -> list[dumps.Clip]:
    """Clips in which the mouth opens as the features say."""
    rng = np.random.default_rng(seed)
    result = []
    for index in range(count):
        loud = 0.5 + 0.5 * np.sin(np.arange(frames) / rng.uniform(3, 8) + rng.uniform(0, 6))
        features = loud[:, None] * np.ones(80) + 0.05 * rng.standard_normal((frames, 80))
        points = np.repeat(face()[None], frames, 0)
        points[:, 65:68, 1] = points[:, 61:64, 1][:, ::-1] + 0.1 * loud[:, None]
        points[:, :, 0] += 0.05 * loud[:, None]
        embedding = rng.standard_normal(256)
        embedding /= np.linalg.norm(embedding)
        result.append(
            dumps.Clip(
                features.astype(np.float32),
                points.reshape(frames, -1).astype(np.float32),
                f"s{index % 2}/{index}+0",
                embedding.astype(np.float32),
            )
        )
    return result


def test_dumps_come_back_in_the_published_layout(tmp_path):
    written = clips(3)
    dumps.write_clips(tmp_path, "train", written)
    with (tmp_path / "dump" / "autovc_retrain_mel_train_au.pickle").open("rb") as file:
        raw = pickle.load(file)
    assert raw[1][0].shape == (90, 80)
    assert raw[1][1][:2] == (1, "s1/1+0")
    read = dumps.read_clips(tmp_path, "train")
    assert [clip.name for clip in read] == [clip.name for clip in written]
    assert np.array_equal(read[2].landmarks, written[2].landmarks)


def test_a_large_dump_is_laid_out_once_and_mapped(tmp_path, monkeypatch):
    written = clips(3)
    dumps.write_clips(tmp_path, "train", written)
    read = dumps.read_clips(tmp_path, "train")
    monkeypatch.setattr(dumps, "MAPPED_FROM", 1)
    (tmp_path / "dump" / ".autovc_retrain_mel_train_au.pickle.arrays.1.part").mkdir()
    for _ in range(2):
        mapped = dumps.read_clips(tmp_path, "train")
        for one, other in zip(read, mapped, strict=True):
            assert np.array_equal(one.features, other.features)
            assert np.array_equal(one.landmarks, other.landmarks)
            assert np.array_equal(one.embedding, other.embedding)
            assert one.name == other.name
    base = mapped[1].landmarks
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert isinstance(base, np.memmap)
    folder = tmp_path / "dump" / "autovc_retrain_mel_train_fl.pickle.arrays"
    made = (folder / "rows.npy").stat().st_mtime_ns
    assert len(list((tmp_path / "dump").iterdir())) == 4

    # Another dump in its place is laid out anew; a damaged layout is named.
    dumps.write_clips(tmp_path, "train", clips(3, seed=8))
    again = dumps.read_clips(tmp_path, "train")
    assert not np.array_equal(again[0].features, mapped[0].features)
    assert (folder / "rows.npy").stat().st_mtime_ns > made
    (folder / "rows.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match="fl.pickle.arrays: damaged, delete it"):
        dumps.read_clips(tmp_path, "train")


def test_double_precision_of_a_large_dump_becomes_single(tmp_path, monkeypatch):
    doubled = [
        dumps.Clip(
            one.features.astype(float), np.asfortranarray(one.landmarks), one.name, one.embedding
        )
        for one in clips(2)
    ]
    dumps.write_clips(tmp_path, "train", doubled)
    monkeypatch.setattr(dumps, "MAPPED_FROM", 1)
    for one, other in zip(clips(2), dumps.read_clips(tmp_path, "train"), strict=True):
        assert other.features.dtype == np.float32
        assert np.array_equal(one.features, other.features)
        assert np.array_equal(one.landmarks, other.landmarks)


class Asks:
    """Pickles into a call of a function with arguments."""

    def __init__(self, function, *arguments):
        self.asked = function, arguments

    def __reduce__(self):
        return self.asked


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("mapped", [False, True])
def test_dumps_of_every_pickle_protocol_are_read(tmp_path, monkeypatch, protocol, mapped):
    if mapped:
        monkeypatch.setattr(dumps, "MAPPED_FROM", 1)
    written = clips(2)
    dumps.write_clips(tmp_path, "train", written)
    for path in dumps.dump_paths(tmp_path, "train"):
        path.write_bytes(pickle.dumps(pickle.loads(path.read_bytes()), protocol=protocol))
    read = dumps.read_clips(tmp_path, "train")
    assert np.array_equal(read[1].features, written[1].features)


@pytest.mark.parametrize(
    "payload",
    [
        lambda harm: [Asks(open, harm, "w")],
        lambda harm: [Asks(os.system, f"touch {harm}")],
        lambda harm: [Asks(eval, f"open({harm!r}, 'w')")],
        lambda harm: [Asks(exec, f"open({harm!r}, 'w')")],
        lambda harm: [Asks(getattr, "", "upper")],
        lambda harm: [Asks(np.save, harm, np.zeros(1))],
        lambda harm: [Asks(subprocess.call, ["touch", harm])],
        lambda harm: [Asks(Path, harm)],
        lambda harm: [(Asks(np.zeros, 3), (0, "a", np.zeros(256)))],
        lambda harm: [(np.array([Asks(open, harm, "w")], object), (0, "a", np.zeros(256)))],
        lambda harm: [(np.array([[None] * 80], object), (0, "a", np.zeros(256)))],
        lambda harm: Asks(torch.load, harm),
        lambda harm: b"cos\nsystem\n(Vtouch " + harm.encode() + b"\ntR.",  # protocol 0
        lambda harm: b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",  # a method of data
        lambda harm: b"\x80\x02cnumpy\ncore\n.",  # a module of data
    ],
)
@pytest.mark.parametrize("mapped", [False, True])
def test_a_dump_that_would_run_code_is_refused_by_name(tmp_path, monkeypatch, payload, mapped):
    if mapped:
        monkeypatch.setattr(dumps, "MAPPED_FROM", 1)
    dumps.write_clips(tmp_path, "train", clips(1))
    audio, landmarks = dumps.dump_paths(tmp_path, "train")
    content = payload(str(tmp_path / "harm"))
    content = content if isinstance(content, bytes) else pickle.dumps(content)
    for path in (audio, landmarks):
        good = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(InputError, match=path.name):
            dumps.read_clips(tmp_path, "train")
        path.write_bytes(good)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.999])
def test_a_truncated_dump_is_refused(tmp_path, kept):
    dumps.write_clips(tmp_path, "train", clips(1))
    path = dumps.dump_paths(tmp_path, "train")[0]
    content = path.read_bytes()
    path.write_bytes(content[: int(kept if kept >= 1 or not kept else kept * len(content))])
    with pytest.raises(InputError, match="autovc_retrain_mel_train_au.pickle"):
        dumps.read_clips(tmp_path, "train")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"a": 1}, "holds a dict, not a list"),
        ([np.zeros((3, 80))], "clip 0 is not a pair"),
        ([(np.zeros((3, 79)), (0, "a", np.zeros(256)))], r"clip 0 is no array of \(frames, 80\)"),
        ([(np.zeros((3, 80)), (0, "a", np.zeros(3)))], "without"),
    ],
)
def test_a_dump_of_another_structure_is_refused(tmp_path, content, problem):
    dumps.write_clips(tmp_path, "train", clips(1))
    dumps.dump_paths(tmp_path, "train")[0].write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=problem):
        dumps.read_clips(tmp_path, "train")


def test_the_test_split_stands_in_where_there_is_none_for_validation(tmp_path):
    name = "autovc_retrain_mel"
    dumps.write_clips(tmp_path, "train", clips(3))
    dumps.write_clips(tmp_path, "test", clips(2))
    assert [len(part) for part in dumps.read_training(tmp_path, name)] == [3, 2]
    dumps.write_clips(tmp_path, "val", [])
    with pytest.raises(InputError, match="val_au.pickle: no clips in it"):
        dumps.read_training(tmp_path, name)


def test_a_broken_or_empty_recording_is_passed_over(tmp_path, caplog):
    rng = np.random.default_rng(0)
    wav = (3000 * np.sin(np.arange(32000) / 20) + 300 * rng.standard_normal(32000)).astype("<i2")
    for name, samples in (("a_1.wav", wav), ("b_1.wav", wav[:3])):
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(samples.tobytes())
    (tmp_path / "c_1.wav").write_bytes(b"no sound")
    analysis.analyse_voices([tmp_path], tmp_path, 1)
    known = dumps.read_voices(tmp_path / "dump" / "voices.npz")
    assert known.speakers.tolist() == ["a"]
    passed_over = [text for text in caplog.messages if text.startswith("passed over: ")]
    assert len(passed_over) == 2 and "b_1.wav" in passed_over[0] and "c_1.wav" in passed_over[1]


def test_what_is_analysed_follows_the_sound(tmp_path):
    rest = face()
    dumps.save_npz(
        tmp_path / "dump" / "faces.npz",
        standard_face=rest,
        lip_weights=np.zeros((2, 204)),
        static_faces=rest[None],
    )

    def speak(pitch: float) -> None:
        wav = (3000 * np.sin(np.arange(24000) * pitch)).astype(np.int16)
        phones = {"phones": np.array(["aa"]), "times": np.array([[0, 1.5]])}
        dumps.save_npz(
            tmp_path / "synthetic" / "rms_00000.npz", wav=wav, speaker=np.array("rms"), **phones
        )

    analysed = tmp_path / "analysed" / "rms_00000.npz"
    speak(0.05)
    analysis.analyse_synthetic(tmp_path, 1)
    mel, made = np.load(analysed)["mel"], analysed.stat().st_mtime_ns
    analysis.analyse_synthetic(tmp_path, 1)
    assert analysed.stat().st_mtime_ns == made
    speak(0.1)
    analysis.analyse_synthetic(tmp_path, 1)
    assert np.abs(np.load(analysed)["mel"] - mel).max() > 0.1


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
def test_a_shorter_run_deletes_what_a_longer_one_said(tmp_path):
    speech.speak_all({"kal": 0.1}, [], tmp_path)
    speech.speak_all({"kal": 0.01}, [], tmp_path)
    assert [path.name for path in (tmp_path / "synthetic").iterdir()] == ["kal_00000.npz"]


def test_held_out_speakers_are_in_one_split_only():
    held_out = splits.HeldOut(frozenset({"a"}), frozenset({"b"}))
    assert [held_out.split_of(s) for s in "abc"] == ["val", "test", "train"]


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
