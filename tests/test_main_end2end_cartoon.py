"""The cartoon command: one whole run, and errors in one line."""

import subprocess
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest

import main_end2end_cartoon
from src.io.audio import SAMPLE_RATE, read_audio
from src.io.find_ffmpeg import ffmpeg_path

ROOT = Path(__file__).resolve().parents[1]
CARTOONS = ROOT / "examples_cartoon"
RECORDING = ROOT / "examples" / "welcome_rms.wav"
EMBEDDED = ROOT / "examples" / "ckpt" / "embedded"
needs_weights = pytest.mark.skipif(not EMBEDDED.is_dir(), reason="needs examples/ckpt/embedded")


@pytest.fixture(scope="module")
def short_recording(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "short.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(read_audio(RECORDING)[: 2 * SAMPLE_RATE].tobytes())
    return path


def frames_of(path: Path) -> list[np.ndarray]:
    video = cv2.VideoCapture(str(path))
    frames = []
    while (frame := video.read()[1]) is not None:
        frames.append(frame)
    return frames


@needs_weights
def test_a_recording_makes_a_puppet_talk(short_recording, tmp_path, capsys):
    out = tmp_path / "leo.mp4"
    arguments = [
        "--jpg",
        "leo",
        "--wav",
        str(short_recording),
        "--out",
        str(out),
        "--device",
        "cpu",
    ]
    assert main_end2end_cartoon.main(arguments) == 0
    assert str(out) in capsys.readouterr().out
    frames = frames_of(out)
    assert len(frames) == 50
    assert frames[0].shape == (680, 640, 3)
    streams = subprocess.run(
        [ffmpeg_path(), "-hide_banner", "-i", str(out)], capture_output=True, text=True
    ).stderr
    assert "Audio: aac" in streams
    assert "Duration: 00:00:02.0" in streams
    # The background, through the drawing's alpha, stands still; the mouth moves.
    background = cv2.imread(str(CARTOONS / "leo_bg.jpg"))
    corner = (slice(0, 60), slice(0, 60))
    mouth = (slice(380, 470), slice(260, 380))
    for frame in frames[:: len(frames) // 5]:
        assert np.abs(frame[corner].astype(int) - background[corner]).mean() < 4
    film = np.array([frame[mouth] for frame in frames], float)
    assert film.std(0).mean() > 4


@needs_weights
def test_no_background_is_white(short_recording, tmp_path):
    out = tmp_path / "white.mp4"
    arguments = ["--jpg", str(CARTOONS / "count.png"), "--jpg_bg", "none", "--fps", "5"]
    assert (
        main_end2end_cartoon.main([*arguments, "--wav", str(short_recording), "--out", str(out)])
        == 0
    )
    frames = frames_of(out)
    assert len(frames) == 10
    assert all((frame[:20, :20] > 250).all() for frame in frames)


def write_clown(folder: Path) -> Path:
    """A puppet of one of ours under another name."""
    for path in CARTOONS.glob("count*"):
        if path.suffix != ".mp4":
            (folder / path.name.replace("count", "clown")).write_bytes(path.read_bytes())
    return folder / "clown.png"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, a: a.update(jpg="nobody"), "nobody: no such puppet"),
        (lambda p, a: a.update(wav="nothing.wav"), "nothing.wav: no such audio file"),
        (lambda p, a: a.update(jpg_bg="nowhere.jpg"), "nowhere.jpg: no such background"),
        (lambda p, a: a.update(out="video.avi"), "the name must end in .mp4"),
        (
            lambda p, a: p.with_name("clown_delauney_tri.txt").unlink(),
            "clown_delauney_tri.txt: cannot be read: No such file",
        ),
        (
            lambda p, a: p.with_name("clown_face_open_mouth.txt").write_text("1 2 1\n"),
            "clown_face_open_mouth.txt: 3 numbers, expected the shape (68, 3)",
        ),
        (
            lambda p, a: cv2.imwrite(str(p.with_name("clown_bg.jpg")), np.zeros((9, 8, 3), "u1")),
            "clown_bg.jpg: a background of 8 x 9 pixels, but the puppet clown has 672 x 720",
        ),
        (lambda p, a: p.write_bytes(b"not an image"), "clown.png: not an image"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, capsys, change, message):
    image = write_clown(tmp_path)
    options = {"jpg": str(image), "wav": str(RECORDING), "out": str(tmp_path / "out.mp4")}
    change(image, options)
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    assert main_end2end_cartoon.main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("*.mp4"))
