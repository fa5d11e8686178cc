"""The public API: a portrait or a puppet and a recording become a video, from paths or arrays."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from src.animate import Models, animate, load_models
from src.errors import InputError
from src.io.audio import SAMPLE_RATE, read_audio
from src.motion.settings import MotionSettings
from src.puppets.files import read_puppet
from src.render.settings import RenderSettings

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
PUPPETS = EXAMPLES.parent / "examples_cartoon"


@pytest.fixture(scope="module")
def models() -> Models:
    return load_models(device="cpu")


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """A second and a half of the bundled recording."""
    return read_audio(EXAMPLES / "welcome_slt.wav")[: 3 * SAMPLE_RATE // 2]


def test_arrays_become_a_video(tmp_path, models, speech):
    image = cv2.imread(str(EXAMPLES / "grace_hopper.jpg"))
    video = animate(image, (speech, SAMPLE_RATE), models, render=RenderSettings(max_size=256))
    assert video.fps == 25 and video.landmarks.shape == (38, 68, 3)
    video.write(tmp_path / "talking.mp4")
    capture = cv2.VideoCapture(str(tmp_path / "talking.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 38
    assert capture.get(cv2.CAP_PROP_FRAME_HEIGHT) == 256
    heard = read_audio(tmp_path / "talking.mp4")
    assert abs(len(heard) - len(speech)) < 0.05 * SAMPLE_RATE
    aligned = heard[: len(speech)].astype(float), speech[: len(heard)].astype(float)
    assert np.corrcoef(*aligned)[0, 1] > 0.9


def test_stereo_floats_of_another_rate_are_the_same_speech(models, speech):
    stereo = np.repeat(speech[:, None] / 32768, 6, axis=0).repeat(2, axis=1)  # 96 kHz
    still = EXAMPLES / "grace_hopper.jpg"
    tracks = [
        animate(still, audio, models, MotionSettings(amp_pos=0.0)).landmarks
        for audio in ((speech, SAMPLE_RATE), (stereo, 6 * SAMPLE_RATE))
    ]
    gaps = [track[:, 66, 1] - track[:, 62, 1] for track in tracks]
    assert np.corrcoef(*gaps)[0, 1] > 0.9


def test_frames_are_rendered_as_they_are_read(models, speech):
    video = animate(EXAMPLES / "astronaut.jpg", (speech, SAMPLE_RATE), models)
    first = next(video.frames)
    video.frames.close()
    image = cv2.imread(str(EXAMPLES / "astronaut.jpg"))
    assert first.shape == image.shape and first.dtype == np.uint8
    assert np.abs(first.astype(int) - image).mean() < 12


def test_the_network_s_renderer_needs_the_network(models, speech):
    settings = RenderSettings(renderer="unet", max_size=128)
    with pytest.raises(InputError, match="renderer unet: needs models of load_models"):
        animate(EXAMPLES / "astronaut.jpg", (speech, SAMPLE_RATE), models, render=settings)


def test_a_puppet_takes_the_same_way(models, speech):
    puppet = read_puppet(PUPPETS / "leo.png")
    video = animate(puppet, (speech, SAMPLE_RATE), models, render=RenderSettings(fps=10))
    frames = np.array(list(video.frames))
    assert frames.shape == (15, *puppet.image.shape[:2], 3)
    assert (frames[:, :5, :5] > 250).all()  # white through the alpha of the image
    mouth = video.landmarks[:, 48:68, :2].reshape(-1, 2)
    (left, top), (right, bottom) = mouth.min(0).astype(int), mouth.max(0).astype(int)
    assert frames[:, top:bottom, left:right].std(axis=0).mean() > 4

    settings = RenderSettings(fps=10, show_landmarks=True)
    wide = next(animate(puppet, (speech, SAMPLE_RATE), models, render=settings).frames)
    assert wide.shape == (frames.shape[1], 3 * frames.shape[2], 3)
