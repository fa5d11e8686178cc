"""The image-translation renderer: what the network sees, and where its picture goes."""

import numpy as np
import pytest
import torch

from src.frames.crop import CROP_SIZE, FaceCrop, cut
from src.frames.draw import landmark_picture
from src.frames.translate import TranslationRenderer
from src.networks.image_translation import ResUnetGenerator
from src.weights import load_translation


class Copies(torch.nn.Module):
    """In the network's place: gives back three of the six channels that it sees."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self.first = first
        self.batches = []

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(pictures))
        wanted = pictures[:, self.first : self.first + 3]
        return torch.atanh(wanted.clamp(max=1 - 1e-6))


@pytest.fixture
def picture() -> np.ndarray:
    y, x = np.mgrid[0:400, 0:600]
    return np.stack([x % 256, y % 256, (x + y) // 4], axis=-1).astype(np.uint8)


@pytest.fixture
def landmarks() -> np.ndarray:
    return np.random.default_rng(0).uniform(60, 200, (5, 68, 3))


def test_the_portrait_comes_second_and_in_bgr(picture, landmarks):
    crop = FaceCrop(150.0, 60.0, 256.0)
    network = Copies(3)
    renderer = TranslationRenderer(network, picture, crop, batch=2)
    frames = list(renderer.frames(landmarks))
    assert network.batches == [2, 2, 1]
    assert len(frames) == 5 and frames[0].shape == picture.shape
    # The network gave the portrait back, so pasting it changes nothing.
    assert np.abs(frames[0].astype(int) - picture).max() <= 1


def test_the_drawn_landmarks_come_first(picture, landmarks):
    renderer = TranslationRenderer(Copies(0), picture, FaceCrop(150.0, 60.0, 256.0))
    faces = renderer.faces(landmarks)
    assert faces.shape == (5, CROP_SIZE, CROP_SIZE, 3) and faces.dtype == np.uint8
    for face, drawn in zip(faces, landmarks, strict=True):
        assert np.abs(face.astype(int) - landmark_picture(drawn)).max() <= 1


def test_a_picture_of_256_pixels_is_the_network_s_own(landmarks):
    picture = np.random.default_rng(1).integers(0, 256, (256, 256, 3), np.uint8)
    renderer = TranslationRenderer(Copies(0), picture, FaceCrop(0, 0, CROP_SIZE))
    (frame,) = renderer.frames(landmarks[:1])
    assert (frame == renderer.faces(landmarks[:1])[0]).all()


def test_pixels_outside_the_crop_stay(picture, landmarks):
    crop = FaceCrop(200.0, 100.0, 180.0)
    (frame,) = TranslationRenderer(Copies(0), picture, crop).frames(landmarks[:1])
    outside = np.ones(picture.shape[:2], bool)
    outside[100:280, 200:380] = False
    assert (frame[outside] == picture[outside]).all()
    assert np.abs(frame[190, 290].astype(int) - picture[190, 290]).max() > 20
    assert cut(frame, crop).mean() > 150  # mostly the white of the drawing


def test_a_file_laid_out_like_the_published_one_renders(tmp_path, picture, landmarks, caplog):
    torch.manual_seed(0)
    network = ResUnetGenerator().eval()
    path = tmp_path / "ckpt_116_i2i_comb.pth"
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.5, 0.999))
    weights = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"G": weights, "opt": optimizer, "epoch": 116}, path)
    loaded = load_translation(path, "cpu")
    assert [r.message for r in caplog.records if r.levelname == "WARNING"] == [
        f"{path}: not the published {path.name} (its sha256 differs), used as it is"
    ]
    crop = FaceCrop(150.0, 60.0, 256.0)
    (face,) = TranslationRenderer(loaded, picture, crop).faces(landmarks[:1])
    seen = np.concatenate([landmark_picture(landmarks[0]), cut(picture, crop)], axis=-1)
    with torch.inference_mode():
        colours = network(torch.from_numpy(seen).permute(2, 0, 1)[None].float() / 255).tanh()
    expected = colours[0].permute(1, 2, 0).clamp(min=0).numpy() * 255
    assert np.abs(face - expected).max() <= 0.51
