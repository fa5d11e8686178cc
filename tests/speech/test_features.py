"""A voice becomes features: against the release's numbers, and on sounds made here."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from src.errors import InputError
from src.io import audio
from src.speech import features
from tests.parity import PARITY, needs_parity


@pytest.fixture(scope="module")
def parity() -> dict[str, np.ndarray]:
    return dict(np.load(PARITY / "pipeline.npz"))


def tone(seconds: float = 1.0, hertz: float = 200.0, level: float = 0.3) -> np.ndarray:
    """A buzz that RAPT hears as voiced: int16 at 16 kHz."""
    time = np.arange(round(seconds * audio.SAMPLE_RATE)) / audio.SAMPLE_RATE
    wave = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, 12))
    return np.round(level * 32767 * wave / np.abs(wave).max()).astype(np.int16)


@needs_parity
def test_loudness_is_the_releases(parity):
    wav = audio.read_audio(PARITY / "pipeline.wav")
    made = audio.normalise_loudness(wav)
    assert np.abs(made.astype(int) - parity["wav_normalised"]).max() <= 1


@needs_parity
def test_mel_and_f0_are_the_releases(parity):
    samples = features.prepare_samples(parity["wav_normalised"])
    assert np.abs(features.log_mel(samples) - parity["mel"]).max() < 1e-4
    f0 = features.normalise_f0(features.log_f0(samples))
    assert np.abs(f0 - parity["f0_norm"]).max() < 1e-4
    assert np.array_equal(features.f0_bins(f0), parity["f0_bin"])


@needs_parity
def test_the_speaker_embedding_is_the_releases(parity):
    from thirdparty.speaker_encoder import embed_speaker

    made = embed_speaker(parity["wav_normalised"])
    assert np.abs(made - parity["speaker_embedding_normalised_wav"]).max() < 1e-4


def test_clock():
    assert audio.FRAME_RATE == 62.5


def test_any_rate_and_channels_become_16_khz_mono(tmp_path):
    path = tmp_path / "a voice's; $(name).wav"
    stereo = np.stack([tone(0.5), tone(0.5)], 1).repeat(3, axis=0)  # 48 kHz
    soundfile.write(path, stereo, 48000)
    wav = audio.read_audio(path)
    assert len(wav) == 8000
    assert audio.loudness(wav) == pytest.approx(audio.loudness(tone(0.5)), abs=0.5)


def test_loudness_goes_to_minus_20_dbfs_and_silence_stays():
    assert audio.loudness(audio.normalise_loudness(tone(level=0.01))) == pytest.approx(-20, abs=0.1)
    assert not audio.normalise_loudness(np.zeros(100, np.int16)).any()


def test_bad_sound_is_named(tmp_path):
    empty, text, still = tmp_path / "empty.wav", tmp_path / "text.wav", tmp_path / "still.png"
    empty.touch()
    text.write_text("no sound at all " * 50)
    nan = tmp_path / "nan.wav"
    soundfile.write(nan, np.array([0.1, np.nan, 0.2] * 100), 16000, subtype="FLOAT")
    import cv2

    cv2.imwrite(str(still), np.zeros((8, 8, 3), np.uint8))
    for path, problem in (
        (tmp_path / "absent.wav", "no such"),
        (empty, "empty"),
        (text, "not a sound"),
        (nan, "NaN"),
        (still, "sound"),
    ):
        with pytest.raises(InputError, match=problem) as raised:
            audio.read_audio(path)
        assert str(path) in str(raised.value)
        assert "\n" not in str(raised.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_sound_that_may_not_be_read_is_named(tmp_path):
    path = tmp_path / "mine.wav"
    soundfile.write(path, tone(0.1), 16000)
    path.chmod(0)
    with pytest.raises(InputError, match=r"mine\.wav: cannot be read: Permission denied"):
        audio.read_audio(path)


def test_a_tones_mel_peaks_at_its_pitch_and_its_f0_is_found():
    import librosa

    wav = tone(hertz=220.0)
    samples = features.prepare_samples(wav)
    mel = features.log_mel(samples)
    assert mel.shape == (len(wav) // 256 + 1, 80)
    bands = librosa.mel_frequencies(82, fmin=90, fmax=7600)[1:-1]
    assert bands[mel[20].argmax()] == pytest.approx(220, abs=40)
    f0 = features.log_f0(samples)
    voiced = f0 > 0
    assert voiced.mean() > 0.8
    assert np.exp(np.median(f0[voiced])) == pytest.approx(220, rel=0.02)


def test_f0_does_not_depend_on_what_was_heard_before():
    examples = Path(__file__).parents[2] / "examples"
    # In one process, a sound of this odd length changes what RAPT says of the next one.
    one, other = (
        features.prepare_samples(audio.read_audio(examples / name))[:length]
        for name, length in (("welcome_slt.wav", 24000), ("welcome_rms.wav", 24001))
    )
    first = features.log_f0(one)
    features.log_f0(other)
    again = features.log_f0(one)
    assert (first > 0).mean() > 0.3
    np.testing.assert_array_equal(again, first)


def test_f0_bins_span_unvoiced_and_256_levels():
    normalised = np.array([features.UNVOICED, 0.0, 0.5, 1.0], np.float32)
    assert features.f0_bins(normalised).tolist() == [0, 1, 129, 256]
    one_hot = features.f0_one_hot(features.f0_bins(normalised))
    assert one_hot.shape == (4, 257)
    assert one_hot.sum(1).tolist() == [1, 1, 1, 1]


def test_a_voice_without_pitch_has_only_the_unvoiced_bin():
    samples = features.prepare_samples(np.zeros(8000, np.int16))
    normalised = features.normalise_f0(features.log_f0(samples))
    assert not features.f0_bins(normalised).any()


def test_conversion_pads_to_a_multiple_and_gives_every_frame_back():
    import torch

    from src.models.autovc import Generator

    torch.manual_seed(0)
    generator = Generator(dim_neck=4, dim_pre=32, freq=16).eval()
    rng = np.random.default_rng(0)
    mel = rng.random((75, 80), np.float32)
    bins = rng.integers(0, 257, 75)
    source, target = rng.random((2, 256), np.float32)
    converted = features.convert_voice(generator, mel, bins, source, target)
    assert converted.shape == (75, 80)
    padded = np.pad(mel, ((0, 21), (0, 0)))
    one_hot = np.pad(features.f0_one_hot(bins), ((0, 21), (0, 0)))
    with torch.inference_mode():
        x, f0 = torch.from_numpy(padded)[None], torch.from_numpy(one_hot)[None]
        _, whole, _ = generator(
            x, torch.from_numpy(source)[None], f0, torch.from_numpy(target)[None]
        )
    assert np.abs(converted - whole[0, :75].numpy()).max() < 1e-6


def test_windows_look_ahead_as_released_and_back_with_a_lead():
    frames = np.arange(40.0)[:, None] * np.ones((1, 80))
    ahead = features.windows(frames)
    assert ahead.shape == (40, 18, 80)
    assert ahead[3, :, 0].tolist() == list(range(3, 21))
    assert ahead[39, :, 0].tolist() == [39.0] * 18
    back = features.windows(frames, lead=11)
    assert back[20, 11, 0] == 20
    assert back[0, :12, 0].tolist() == [0.0] * 12
