"""Analysis of recordings and synthetic speech."""

import wave

import numpy as np

from src.data import analysis, dumps
from src.data.settings import Preparation


def test_speakers_are_read_off_file_names():
    assert analysis.speaker_of("p225_024") == "p225"
    assert analysis.speaker_of("3005-163389-0005") == "3005"
    assert analysis.speaker_of("LJ001-0001") == "LJ"


def test_a_broken_or_empty_recording_is_skipped(tmp_path, caplog):
    rng = np.random.default_rng(0)
    wav = (3000 * np.sin(np.arange(32000) / 20) + 300 * rng.standard_normal(32000)).astype("<i2")
    for name, samples in (("a_1.wav", wav), ("b_1.wav", wav[:3])):
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(samples.tobytes())
    (tmp_path / "c_1.wav").write_bytes(b"no sound")
    analysis.analyse_recordings(Preparation(root_dir=tmp_path, speech=(tmp_path,), jobs=1))
    known = dumps.read_voices(tmp_path)
    assert known.speakers.tolist() == ["a"]
    skipped = [text for text in caplog.messages if text.startswith("skipped: ")]
    assert len(skipped) == 2 and "b_1.wav" in skipped[0] and "c_1.wav" in skipped[1]


def test_audio_that_changed_is_analysed_again(tmp_path):
    def analyse(pitch: float) -> tuple[np.ndarray, int]:
        wav = (3000 * np.sin(np.arange(24000) * pitch)).astype(np.int16)
        return analysis.analyse(wav, path)["mel"], path.stat().st_mtime_ns

    path = tmp_path / "rms_00000.npz"
    mel, written = analyse(0.05)
    again, kept = analyse(0.05)
    assert kept == written
    assert np.array_equal(again, mel)
    assert np.abs(analyse(0.1)[0] - mel).max() > 0.1
    path.write_bytes(b"damaged")
    assert np.array_equal(analyse(0.05)[0], mel)
