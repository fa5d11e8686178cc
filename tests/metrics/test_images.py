"""Image metrics with known answers, and the evaluation of renderers."""

import dataclasses
import json

import cv2
import numpy as np
import pytest
import skimage.data
import soundfile

import main_evaluate
from src.errors import InputError
from src.face.detection import detect_landmarks
from src.io.checkpoint import save_embedded
from src.io.video import write_video
from src.metrics import images
from src.metrics.clips import held_out_clips
from src.metrics.settings import EvaluationSettings
from src.models.config import TranslationConfig
from src.models.image_translation import ResUnetGenerator
from src.render.warp.portrait import WarpRenderer

FRAMES = 9


@pytest.fixture(scope="module")
def clip() -> tuple[list[np.ndarray], np.ndarray]:
    """Frames of a face that talks and moves, and their landmarks (9, 68, 3)."""
    portrait = skimage.data.astronaut()[:300, 60:400, ::-1].copy()
    still = detect_landmarks(portrait, "mediapipe")
    track = np.repeat(still[None], FRAMES, 0)
    track[:, [65, 66, 67, 55, 56, 57, 58, 59], 1] += 6 * np.sin(np.arange(FRAMES) / 2)[:, None] ** 2
    track[:, :, 0] += np.sin(np.arange(FRAMES))[:, None]
    renderer = WarpRenderer(portrait, still)
    return [renderer.render(points) for points in track], track


def measured(clip, generated) -> dict[str, float]:
    frames, track = clip
    return images.compare(zip(frames, generated, strict=True), track)


@pytest.mark.filterwarnings("ignore:divide by zero")  # the PSNR of equal images
def test_the_ground_truth_is_as_sharp_and_flickers_as_itself(clip):
    found = measured(clip, clip[0])
    assert found["SSIM"] == found["mouth sharpness"] == found["flicker"] == 1
    assert np.isnan(found["PSNR"]) and np.isnan(found["mouth PSNR"])
    assert found["lips"] < 2


def test_noise_of_known_size_is_measured(clip):
    rng = np.random.default_rng(0)
    noisy = [
        np.clip(np.round(frame + rng.normal(0, 8, frame.shape)), 0, 255).astype(np.uint8)
        for frame in clip[0]
    ]
    found = measured(clip, noisy)
    # The square of 256 pixels is larger than the face: enlarging smooths some of the noise.
    assert 10 * np.log10(255**2 / 64) < found["PSNR"] < 10 * np.log10(255**2 / 64) + 4
    assert found["flicker"] > 1.5 and found["mouth sharpness"] > 1.5 and found["SSIM"] < 0.95


def test_a_blur_is_less_sharp_and_a_shift_moves_the_lips(clip):
    blurred = [cv2.GaussianBlur(frame, (0, 0), 2.0) for frame in clip[0]]
    assert measured(clip, blurred)["mouth sharpness"] < 0.5
    jaw = np.linalg.norm(clip[1][0, 16, :2] - clip[1][0, 0, :2])
    shifted = [np.roll(frame, 8, axis=1) for frame in clip[0]]
    assert measured(clip, shifted)["lips"] == pytest.approx(100 * 8 / jaw, rel=0.25)


@pytest.fixture(scope="module")
def root(clip, tmp_path_factory):
    """ROOT with one tracked clip of a speaker, and its video beside it."""
    folder = tmp_path_factory.mktemp("root")
    (folder / "clips").mkdir()
    sound = np.zeros(FRAMES * 640, np.int16)
    np.savez(
        folder / "clips" / "talk.npz",
        landmarks=clip[1].astype(np.float32),
        wav=sound,
        speaker="ann",
        synced=True,
        offset=0.0,
    )
    soundfile.write(folder / "sound.wav", sound, 16000)
    write_video(folder / "talk.mp4", iter(clip[0]), 25, folder / "sound.wav")
    return folder


def test_all_renderers_side_by_side(root, tmp_path, capsys):
    network = ResUnetGenerator(TranslationConfig(True, 4, 8, 2))
    weights = tmp_path / "translation.safetensors"
    save_embedded(weights, network.state_dict(), dataclasses.asdict(network.config))
    arguments = ["--root_dir", str(root), "--videos", str(root), "--speakers", "ann"]
    arguments += ["--measure", "images", "--every", "3", "--out_dir", str(tmp_path / "out")]
    assert main_evaluate.main([*arguments, "--load_G_name", str(weights)]) == 0
    printed = capsys.readouterr().out
    assert (tmp_path / "out" / "images.md").read_text() in printed
    found = json.loads((tmp_path / "out" / "images.json").read_text())
    assert list(found["images"]) == ["warp", "unet", "ground truth"]
    assert found["weights"] == str(weights)
    warp, unet = found["images"]["warp"], found["images"]["unet"]
    # The untrained network changes nothing; the clip itself was rendered by the warp.
    assert warp["PSNR"] > 33 and abs(unet["PSNR"] - warp["PSNR"]) < 3
    assert list(found["images of each"]) == [f"talk, {FRAMES} frames"]
    assert main_evaluate.main([*arguments, "--renderer", "warp"]) == 0
    assert "| unet " not in capsys.readouterr().out


def test_what_is_missing_is_named(root, tmp_path):
    for speaker, videos, message in (
        ("bob", root, "no usable clip of bob"),
        ("ann", tmp_path, "no video of the tracked clip talk"),
    ):
        settings = EvaluationSettings(root=root, videos=(videos,), speakers=(speaker,))
        with pytest.raises(InputError, match=message):
            list(held_out_clips(settings, lambda clip: images.run_frames(clip["landmarks"], 3)))
