"""The image-translation renderer: the network's inputs, and where its output goes."""

import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import skimage.data
import torch

from src.errors import InputError
from src.face.crop import FaceCrop, cut, face_crop
from src.face.detection import detect_landmarks
from src.models.config import TranslationConfig
from src.models.dimensions import IMAGE_SIZE
from src.models.folding import for_inference
from src.models.image_translation import ResUnetGenerator
from src.models.loading import load_image_translation
from src.render import unet
from src.render.compositing import WHOLE_CROP, Compositor, DeviceCompositor
from src.render.landmark_image import landmark_image
from src.render.unet import (
    WINDOW_FEATHER,
    WINDOW_MARGIN,
    UNetRenderer,
    in_order,
    refinement_window,
)
from src.render.warp.plane import Box
from src.render.warp.portrait import WarpRenderer
from tests.models.test_folding import REFINES, SMALL, with_statistics


class Copies(torch.nn.Module):
    """Stands in for a network that generates the face: returns three of its six input channels."""

    config = TranslationConfig(mends=False)

    def __init__(self, first: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.first = first
        self.batches = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(images))
        wanted = images[:, self.first : self.first + 3]
        return torch.atanh(wanted.clamp(max=1 - 1e-6))


class Refines(torch.nn.Module):
    """Stands in for a refinement network: everything red, with a constant alpha."""

    config = TranslationConfig(mends=True, num_downs=5)
    red = (0.0, 0.0, 1.0)

    def __init__(self, alpha: float, inside: slice = slice(None)) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.alpha, self.inside = alpha, inside
        self.seen = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append(images.clone())
        change = torch.tensor(self.red)[:, None, None] * 2 - 1
        output = torch.full((len(images), 4, *images.shape[2:]), -30.0)
        output[:, :3] = 30 * change
        logit = torch.logit(torch.tensor(self.alpha, dtype=torch.float64), eps=1e-13)
        output[:, 3, self.inside, self.inside] = float(logit)
        return output


@pytest.fixture
def image() -> np.ndarray:
    y, x = np.mgrid[0:400, 0:600]
    return np.stack([x % 256, y % 256, (x + y) // 4], axis=-1).astype(np.uint8)


@pytest.fixture
def landmarks() -> np.ndarray:
    """In the middle of a crop at (150, 60) of 256 pixels."""
    return np.random.default_rng(0).uniform(60, 200, (5, 68, 3)) + (150, 60, 0)


CROP = FaceCrop(150.0, 60.0, 256.0)


@pytest.fixture(scope="module")
def face() -> tuple[np.ndarray, np.ndarray]:
    """A portrait and its landmarks in pixels."""
    image = skimage.data.astronaut()[:300, 60:400, ::-1].copy()
    return image, detect_landmarks(image, "mediapipe")


@pytest.fixture(scope="module")
def moved(face) -> np.ndarray:
    """(5, 68, 3): the portrait's landmarks with the lower lip on its way."""
    track = np.repeat(face[1][None], 5, axis=0)
    track[:, 55:60, 1] += np.linspace(1, 5, 5)[:, None]
    track[:, 65:68, 1] += np.linspace(1, 5, 5)[:, None]
    return track


def refining(network, face, batch: int = 4) -> UNetRenderer:
    renderer = UNetRenderer(*face, network)
    renderer.batch = batch
    return renderer


class TestGenerating:
    def test_the_portrait_comes_second_and_in_bgr(self, image, landmarks):
        network = Copies(3)
        renderer = UNetRenderer(image, landmarks[0], network, crop=CROP)
        renderer.batch = 2
        frames = list(renderer.frames(landmarks))
        assert sorted(network.batches) == [1, 2, 2]
        assert len(frames) == 5 and frames[0].shape == image.shape
        # The network gave the portrait back, so pasting it changes nothing.
        assert np.abs(frames[0].astype(int) - image).max() <= 1

    def test_the_drawn_landmarks_come_first(self, image, landmarks):
        frames = list(UNetRenderer(image, landmarks[0], Copies(0), crop=CROP).frames(landmarks))
        assert len(frames) == 5
        for frame, points in zip(frames, landmarks, strict=True):
            drawn = landmark_image(CROP.to_crop(points))
            drawn = Compositor(image.shape, CROP).paste(image, drawn)
            assert np.abs(frame.astype(int) - drawn).max() <= 1

    def test_an_image_of_256_pixels_is_the_network_s_own(self, landmarks):
        image = np.random.default_rng(1).integers(0, 256, (256, 256, 3), np.uint8)
        renderer = UNetRenderer(image, landmarks[0], Copies(0), crop=FaceCrop(0, 0, IMAGE_SIZE))
        (frame,) = renderer.frames(landmarks[:1] - (150, 60, 0))
        assert (frame == landmark_image(landmarks[0] - (150, 60, 0))).all()

    def test_pixels_outside_the_crop_stay(self, image, landmarks):
        crop = FaceCrop(200.0, 100.0, 180.0)
        (frame,) = UNetRenderer(image, landmarks[0], Copies(0), crop=crop).frames(landmarks[:1])
        outside = np.ones(image.shape[:2], bool)
        outside[100:280, 200:380] = False
        assert (frame[outside] == image[outside]).all()
        assert np.abs(frame[190, 290].astype(int) - image[190, 290]).max() > 20
        assert cut(frame, crop).mean() > 150  # mostly the white of the drawn landmarks

    def test_a_file_laid_out_like_the_published_one_renders(self, tmp_path, landmarks, caplog):
        torch.manual_seed(0)
        network = ResUnetGenerator(TranslationConfig()).eval()
        path = tmp_path / "ckpt_116_i2i_comb.pth"
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.5, 0.999))
        weights = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
        torch.save({"G": weights, "opt": optimizer, "epoch": 116}, path)
        loaded = load_image_translation(path, "cpu")
        assert [r.message for r in caplog.records if r.levelname == "WARNING"] == [
            f"{path}: not the published {path.name} (its sha256 differs), used as it is"
        ]
        image = np.random.default_rng(1).integers(0, 256, (256, 256, 3), np.uint8)
        points = landmarks[:1] - (150, 60, 0)
        renderer = UNetRenderer(image, points[0], loaded, crop=FaceCrop(0, 0, 256))
        (frame,) = renderer.frames(points)
        seen = np.concatenate([landmark_image(points[0]), image], axis=-1)
        with torch.inference_mode():
            colours = network(torch.from_numpy(seen).permute(2, 0, 1)[None].float() / 255).tanh()
        expected = colours[0].permute(1, 2, 0).clamp(min=0).numpy() * 255
        assert np.abs(frame - expected).max() <= 0.51


def window_of(face, moved) -> Box:
    """The part of the crop that a refinement network of 5 levels sees."""
    return refinement_window(face_crop(face[1]).to_crop(moved)[:, 17:, :2].reshape(-1, 2), 32)


class TestRefining:
    def test_it_sees_smooth_lines_the_portrait_and_the_warped_portrait(self, face, moved):
        image, rest = face
        network, crop = Refines(0.0), face_crop(rest)
        list(refining(network, face).frames(moved[:1]))
        (seen,) = (network.seen[0] * 255).round().byte().permute(0, 2, 3, 1).numpy()
        warped = WarpRenderer(image, rest).render(moved[0])
        window = window_of(face, moved[:1])
        part = window.slices(WHOLE_CROP)
        drawn = landmark_image(crop.to_crop(moved[0]), antialiased=True)
        np.testing.assert_array_equal(seen[..., :3], drawn[part])
        np.testing.assert_array_equal(seen[..., 3:6], cut(image, crop)[part])
        np.testing.assert_array_equal(seen[..., 6:], cut(warped, crop)[part])

    def test_it_sees_brows_eyes_nose_and_mouth(self, face, moved):
        crop, window = face_crop(face[1]), window_of(face, moved)
        points = crop.to_crop(moved)[:, 17:, :2].reshape(-1, 2)
        inwards = (points - window[:2]).min(0)
        outwards = (window[2:] - points).min(0)
        assert (inwards >= WINDOW_MARGIN - 1).all() and (outwards >= WINDOW_MARGIN - 1).all()
        assert window.size == (160, 160)
        # One that is moved beyond the crop is still seen as far as the crop goes.
        window = refinement_window(points + (0, 150), 64)
        assert window.bottom == IMAGE_SIZE and window.top % 64 == 0

    def test_with_alpha_0_the_frames_are_the_warp_s_own(self, face, moved):
        warper = WarpRenderer(*face)
        for frame, points in zip(refining(Refines(0.0), face).frames(moved), moved, strict=True):
            np.testing.assert_array_equal(frame, warper.render(points))

    def test_refinement_fades_in_from_the_border_of_the_window(self, face, moved):
        (frame,) = refining(Refines(1.0), face).frames(moved[:1])
        warped = WarpRenderer(*face).render(moved[0])
        crop, window = face_crop(face[1]), window_of(face, moved[:1])
        y, x = np.mgrid[: frame.shape[0], : frame.shape[1]]
        places = crop.to_crop(np.stack([x, y], -1).reshape(-1, 2)).T.reshape(2, *x.shape) + 0.5
        inwards = np.full(x.shape, np.inf)
        for place, low, high in zip(places, window[:2], window[2:], strict=True):
            inwards = np.min([inwards, place - low, high - place], axis=0)
        np.testing.assert_array_equal(frame[inwards < -3], warped[inwards < -3])
        deep = inwards > WINDOW_FEATHER + 3
        assert deep.mean() > 0.05 and (frame[deep] == (0, 0, 255)).all()
        ring = np.abs(inwards - WINDOW_FEATHER / 2) < 0.5
        red = np.abs(frame[ring].astype(int) - (0, 0, 255)).mean()
        assert 0.3 < red / np.abs(warped[ring].astype(int) - (0, 0, 255)).mean() < 0.7

    def test_only_refined_pixels_are_changed(self, face, moved):
        (frame,) = refining(Refines(1.0, slice(50, 90)), face).frames(moved[:1])
        warped = WarpRenderer(*face).render(moved[0])
        crop, window = face_crop(face[1]), window_of(face, moved[:1])
        changed = cut((frame != warped).any(-1)[..., None] * np.uint8(255), crop)
        rows, columns = np.nonzero(changed[..., 0] if changed.ndim == 3 else changed)
        left, top = window[:2]
        assert 45 < rows.min() - top < 55 and 85 < columns.max() - left < 95
        inside = np.s_[top + 60 : top + 80, left + 60 : left + 80]
        assert (cut(frame, crop)[inside] == (0, 0, 255)).all()

    def test_frames_do_not_depend_on_the_batch(self, face, moved):
        network = with_statistics(**REFINES, **SMALL)
        one, many = (list(refining(network, face, batch=size).frames(moved)) for size in (1, 3))
        assert len(one) == len(many) == len(moved)
        for a, b in zip(one, many, strict=True):
            assert np.abs(a.astype(int) - b).max() <= 1

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_a_folded_network_renders_the_same_frames(self, face, moved, dtype):
        network = with_statistics(**REFINES, **SMALL)
        fast = for_inference(network, "cpu", dtype)
        assert {weight.dtype for weight in fast.parameters()} == {dtype}
        warped = [WarpRenderer(*face).render(points) for points in moved]
        for plain, folded, bare in zip(
            refining(network, face).frames(moved),
            refining(fast, face).frames(moved),
            warped,
            strict=True,
        ):
            inside = (plain != bare).any(-1)
            assert inside.mean() > 0.08
            difference = np.abs(plain.astype(int) - folded)[inside].mean()
            assert difference < (0.01 if dtype == torch.float32 else 2.0)


class TestDeviceCompositor:
    """On a device, the same images as by OpenCV."""

    @pytest.mark.parametrize(
        "crop", [CROP, FaceCrop(-20.3, 30.2, 330.7), FaceCrop(301.6, 77.1, 140.4)]
    )
    def test_it_pastes(self, image, crop):
        rng = np.random.default_rng(2)
        face = cv2.GaussianBlur(rng.integers(0, 256, (256, 256, 3)).astype(np.uint8), (0, 0), 3)
        alpha = cv2.GaussianBlur(rng.random((256, 256), np.float32), (0, 0), 8)
        alpha = np.clip(8 * alpha - 3.5, 0, 1)
        window = Box(32, 64, 224, 256)
        blending = (image.shape, crop, window, 8)
        compositor = DeviceCompositor(torch.device("cpu"), *blending)
        face, alpha = (array[window.slices(WHOLE_CROP)] for array in (face, alpha))
        colours = torch.from_numpy(face).permute(2, 0, 1)[None] / 255
        for given in (None, alpha):
            there = None if given is None else torch.from_numpy(given)[None, None]
            (frame,) = compositor([image], colours, there)
            difference = np.abs(frame.astype(int) - Compositor(*blending).paste(image, face, given))
            assert difference.max() <= 4 and difference.mean() < 0.1


class TestThreads:
    def test_only_so_much_is_taken_ahead(self):
        taken = []

        def items():
            for number in range(50):
                taken.append(number)
                yield number

        with ThreadPoolExecutor(3) as pool:
            results = in_order(pool, lambda number: number * number, items(), 4)
            for count, result in enumerate(results):
                assert result == count * count
                assert len(taken) <= count + 5
            assert len(taken) == 50

    def test_large_frames_go_in_small_batches(self, monkeypatch, landmarks):
        image = np.zeros((300, 400, 3), np.uint8)
        for limit, batch in ((100 * image.nbytes, 4), (14 * image.nbytes, 2), (1, 1)):
            monkeypatch.setattr(unet, "FRAME_BYTES", limit)
            assert UNetRenderer(image, landmarks[0], Copies(0), crop=CROP).batch == batch

    def test_they_end_with_the_frames(self, face, moved):
        threads, computing = threading.active_count(), torch.get_num_threads()
        frames = refining(Refines(1.0), face, batch=1).frames(np.concatenate([moved] * 4))
        next(frames)
        assert threading.active_count() > threads
        frames.close()
        assert threading.active_count() == threads
        assert torch.get_num_threads() == computing

    def test_their_errors_are_raised(self, face, moved):
        class Broken(Refines):
            def forward(self, images):
                raise RuntimeError("out of memory")

        threads = threading.active_count()
        with pytest.raises(RuntimeError, match="out of memory"):
            list(refining(Broken(1.0), face).frames(moved))
        assert threading.active_count() == threads


def test_a_config_that_makes_no_network_is_refused(tmp_path):
    network = ResUnetGenerator(TranslationConfig(**SMALL))
    path = tmp_path / "odd.pth"
    torch.save({"G": network.state_dict(), "config": SMALL | {"num_downs": 0}}, path)
    with pytest.raises(InputError, match=r"odd\.pth: its config makes no translation network"):
        load_image_translation(path, "cpu")
