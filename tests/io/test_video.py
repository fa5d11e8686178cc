"""Videos that ffmpeg reads back: sizes, lengths, colours, and no files left after a failure."""

import itertools
import os
import signal
import subprocess
import sys
import wave

import cv2
import numpy as np
import pytest

from src.errors import InputError
from src.io.audio import SAMPLE_RATE, read_audio
from src.io.find_ffmpeg import ffmpeg_path
from src.io.video import COMMENT, even_size, write_video

FPS = 25


def write_tone(path, seconds: float) -> None:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    samples = (8000 * np.sin(2 * np.pi * 220 * time)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.tobytes())


def ramp(count: int, height: int = 48, width: int = 64):
    """Frames of one colour each, growing lighter."""
    for index in range(count):
        yield np.full((height, width, 3), (40 + index, 90, 160 - index), np.uint8)


def read_frames(path, height: int, width: int) -> np.ndarray:
    command = [ffmpeg_path(), "-v", "error", "-i", f"file:{path}", "-f", "rawvideo"]
    command += ["-pix_fmt", "bgr24", "pipe:"]
    raw = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def describe(path) -> str:
    """ffmpeg's description of a file."""
    return subprocess.run(
        [ffmpeg_path(), "-hide_banner", "-i", f"file:{path}"], capture_output=True, text=True
    ).stderr


def test_frames_and_audio_come_back(tmp_path):
    write_tone(tmp_path / "tone.wav", 2.0)
    video = tmp_path / "video.mp4"
    assert write_video(video, ramp(50), FPS, tmp_path / "tone.wav") == 50
    frames = read_frames(video, 48, 64)
    assert frames.shape == (50, 48, 64, 3)
    expected = np.stack(list(ramp(50))).astype(int)
    assert np.abs(frames - expected).max() <= 4
    audio = read_audio(video)
    assert abs(len(audio) / SAMPLE_RATE - 2.0) < 0.03
    assert 7000 < np.abs(audio[4000:28000]).max() < 9000
    text = describe(video)
    assert (
        "h264" in text
        and "yuv420p" in text
        and "aac" in text
        and "(tv, bt709, progressive)" in text
    )
    assert COMMENT in text
    assert f"{FPS} fps" in text
    # faststart: the index comes before the data, so playing can begin at once.
    data = video.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["tone.wav", "video.mp4"]


def test_released_rate_and_names_that_a_shell_would_read(tmp_path):
    folder = tmp_path / "a 'quoted' \"folder\""
    audio = tmp_path / "-ключ $(touch x).wav"
    write_tone(audio, 0.8)
    video = folder / "-out; ünï %d.mp4"
    write_video(video, ramp(50), 62.5, audio)
    assert "62.50 fps" in describe(video)
    capture = cv2.VideoCapture(str(video))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 50


def test_odd_sizes_repeat_the_last_row_and_column(tmp_path):
    frame = np.random.default_rng(0).integers(0, 255, (47, 33, 3), np.uint8)
    even = even_size(frame)
    assert even.shape == (48, 34, 3)
    assert (even[:47, :33] == frame).all() and (even[47] == even[46]).all()
    write_tone(tmp_path / "tone.wav", 0.4)
    write_video(tmp_path / "video.mp4", ramp(10, 47, 33), FPS, tmp_path / "tone.wav")
    assert read_frames(tmp_path / "video.mp4", 48, 34).shape[0] == 10


def test_short_audio_is_padded_with_silence(tmp_path):
    write_tone(tmp_path / "tone.wav", 0.1)
    write_video(tmp_path / "v.mp4", ramp(8), FPS, tmp_path / "tone.wav", least_seconds=0.32)
    audio = read_audio(tmp_path / "v.mp4")
    assert abs(len(audio) / SAMPLE_RATE - 0.32) < 0.03
    assert np.abs(audio[-1600:]).max() < 100


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_error_among_the_frames_leaves_no_file(tmp_path, error):
    write_tone(tmp_path / "tone.wav", 1.0)

    def stopped():
        yield from ramp(10)
        raise error

    with pytest.raises(error):
        write_video(tmp_path / "new" / "deep" / "video.mp4", stopped(), FPS, tmp_path / "tone.wav")
    assert [file.name for file in tmp_path.iterdir()] == ["tone.wav"]


def test_a_video_that_fails_leaves_the_old_one(tmp_path):
    write_tone(tmp_path / "tone.wav", 1.0)
    video = tmp_path / "video.mp4"
    video.write_bytes(b"old")
    with pytest.raises(ValueError, match="a frame of"):
        write_video(video, iter([*ramp(1), *ramp(1, 32, 32)]), FPS, tmp_path / "tone.wav")
    assert video.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(ValueError, match="at least one"):
        write_video(video, iter(()), FPS, tmp_path / "tone.wav")


def test_unreadable_audio_is_one_line(tmp_path):
    (tmp_path / "text.wav").write_text("not a audio\n" * 100)
    with pytest.raises(InputError, match="video cannot be written") as caught:
        write_video(tmp_path / "video.mp4", ramp(500), FPS, tmp_path / "text.wav")
    assert "\n" not in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["text.wav"]


def test_an_interrupt_does_not_shorten_a_video_that_is_read(tmp_path):
    write_tone(tmp_path / "tone.wav", 1)
    frames = itertools.repeat(np.zeros((480, 640, 3), np.uint8), 400)  # more than ffmpeg buffers
    write_video(tmp_path / "video.mp4", frames, FPS, tmp_path / "tone.wav")
    code = (
        "import signal, sys; from src.io.video import read_frames; "
        "signal.signal(signal.SIGINT, signal.SIG_IGN); frames = read_frames(sys.argv[1], 25.0); "
        "next(frames); print('begun', flush=True); input(); print(1 + sum(1 for _ in frames))"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "video.mp4")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert reader.stdout.readline() == "begun\n"
    os.killpg(reader.pid, signal.SIGINT)
    assert reader.communicate("\n", timeout=60)[0] == "400\n"
