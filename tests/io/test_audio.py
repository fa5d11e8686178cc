"""Audio of any rate and number of channels is decoded; unusable files are refused by name."""

import os

import numpy as np
import pytest
import soundfile

from src.errors import InputError
from src.io.audio import FRAME_RATE, read_audio
from src.speech.loudness import loudness
from tests.speech.signals import tone


def test_clock():
    assert FRAME_RATE == 62.5


def test_any_rate_and_channels_become_16_khz_mono(tmp_path):
    path = tmp_path / "a voice's; $(name).wav"
    stereo = np.stack([tone(0.5), tone(0.5)], 1).repeat(3, axis=0)  # 48 kHz
    soundfile.write(path, stereo, 48000)
    wav = read_audio(path)
    assert len(wav) == 8000
    assert loudness(wav) == pytest.approx(loudness(tone(0.5)), abs=0.5)


def test_unusable_audio_is_named(tmp_path):
    empty, text, still = tmp_path / "empty.wav", tmp_path / "text.wav", tmp_path / "still.png"
    empty.touch()
    text.write_text("no audio at all " * 50)
    nan = tmp_path / "nan.wav"
    soundfile.write(nan, np.array([0.1, np.nan, 0.2] * 100), 16000, subtype="FLOAT")
    import cv2

    cv2.imwrite(str(still), np.zeros((8, 8, 3), np.uint8))
    for path, problem in (
        (tmp_path / "absent.wav", "No such"),
        (empty, "empty"),
        (text, "not an audio file"),
        (nan, "NaN"),
        (still, "audio"),
    ):
        with pytest.raises(InputError, match=problem) as raised:
            read_audio(path)
        assert str(path) in str(raised.value)
        assert "\n" not in str(raised.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_audio_is_named(tmp_path):
    path = tmp_path / "mine.wav"
    soundfile.write(path, tone(0.1), 16000)
    path.chmod(0)
    with pytest.raises(InputError, match=r"mine\.wav: cannot be read: Permission denied"):
        read_audio(path)
