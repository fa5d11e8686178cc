"""The image-translation renderer: what the network sees, and where its picture goes."""

import threading

import cv2
import numpy as np
import pytest
import skimage.data
import torch

from src.errors import InputError
from src.face.crop import CROP_SIZE, FaceCrop, cut, face_crop
from src.face.detection import detect_landmarks
from src.models.config import TranslationConfig
from src.models.folding import enlarging, folded, for_inference, quick_dtype
from src.models.image_translation import ResUnetGenerator
from src.models.loading import load_image_translation
from src.models.winograd import WinogradConv
from src.render import unet as translate
from src.render.compositing import CropRegion, DeviceCompositor, paste
from src.render.landmark_image import landmark_image
from src.render.unet import (
    WINDOW_FADE,
    WINDOW_MARGIN,
    UNetRenderer,
    Window,
    in_order,
    thread_pool,
)
from src.render.warp.portrait import WarpRenderer

MENDS = {"mends": True}
SMALL = {"num_downs": 4, "ngf": 8, "max_widening": 4}


class Copies(torch.nn.Module):
    """In a painting network's place: gives back three of the six channels that it sees."""

    config = TranslationConfig(mends=False)

    def __init__(self, first: int) -> None:
        super().__init__()
        self.first = first
        self.batches = []

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(pictures))
        wanted = pictures[:, self.first : self.first + 3]
        return torch.atanh(wanted.clamp(max=1 - 1e-6))


class Mends(torch.nn.Module):
    """In a mending network's place: makes everything red, as much of it as told."""

    config = TranslationConfig(mends=True, num_downs=5)
    red = (0.0, 0.0, 1.0)

    def __init__(self, share: float, inside: slice = slice(None)) -> None:
        super().__init__()
        self.share, self.inside = share, inside
        self.seen = []

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        self.seen.append(pictures.clone())
        change = torch.tensor(self.red)[:, None, None] * 2 - 1
        output = torch.full((len(pictures), 4, *pictures.shape[2:]), -30.0)
        output[:, :3] = 30 * change
        logit = torch.logit(torch.tensor(self.share, dtype=torch.float64), eps=1e-13)
        output[:, 3, self.inside, self.inside] = float(logit)
        return output


def with_statistics(**sizes) -> ResUnetGenerator:
    """A network of random weights whose norms have seen data, in eval mode."""
    torch.manual_seed(0)
    network = ResUnetGenerator(TranslationConfig(**sizes))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.2)
        elif isinstance(module, torch.nn.Conv2d) and not module.weight.any():
            module.reset_parameters()  # the last one of a mending network begins at 0
    return network.eval().requires_grad_(False)


@pytest.fixture
def picture() -> np.ndarray:
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
    picture = skimage.data.astronaut()[:300, 60:400, ::-1].copy()
    return picture, detect_landmarks(picture, "mediapipe")


@pytest.fixture(scope="module")
def moved(face) -> np.ndarray:
    """(5, 68, 3): the portrait's landmarks with the lower lip on its way."""
    track = np.repeat(face[1][None], 5, axis=0)
    track[:, 55:60, 1] += np.linspace(1, 5, 5)[:, None]
    track[:, 65:68, 1] += np.linspace(1, 5, 5)[:, None]
    return track


def mending(network, face, **options) -> UNetRenderer:
    picture, landmarks = face
    return UNetRenderer(picture, landmarks, network, **options)


class TestPainting:
    def test_the_portrait_comes_second_and_in_bgr(self, picture, landmarks):
        network = Copies(3)
        frames = list(
            UNetRenderer(picture, landmarks[0], network, crop=CROP, batch=2).frames(landmarks)
        )
        assert sorted(network.batches) == [1, 2, 2]
        assert len(frames) == 5 and frames[0].shape == picture.shape
        # The network gave the portrait back, so pasting it changes nothing.
        assert np.abs(frames[0].astype(int) - picture).max() <= 1

    def test_the_drawn_landmarks_come_first(self, picture, landmarks):
        frames = list(UNetRenderer(picture, landmarks[0], Copies(0), crop=CROP).frames(landmarks))
        assert len(frames) == 5
        for frame, points in zip(frames, landmarks, strict=True):
            drawn = paste(picture, CROP, landmark_image(CROP.to_crop(points)))
            assert np.abs(frame.astype(int) - drawn).max() <= 1

    def test_a_picture_of_256_pixels_is_the_network_s_own(self, landmarks):
        picture = np.random.default_rng(1).integers(0, 256, (256, 256, 3), np.uint8)
        renderer = UNetRenderer(picture, landmarks[0], Copies(0), crop=FaceCrop(0, 0, CROP_SIZE))
        (frame,) = renderer.frames(landmarks[:1] - (150, 60, 0))
        assert (frame == landmark_image(landmarks[0] - (150, 60, 0))).all()

    def test_pixels_outside_the_crop_stay(self, picture, landmarks):
        crop = FaceCrop(200.0, 100.0, 180.0)
        (frame,) = UNetRenderer(picture, landmarks[0], Copies(0), crop=crop).frames(landmarks[:1])
        outside = np.ones(picture.shape[:2], bool)
        outside[100:280, 200:380] = False
        assert (frame[outside] == picture[outside]).all()
        assert np.abs(frame[190, 290].astype(int) - picture[190, 290]).max() > 20
        assert cut(frame, crop).mean() > 150  # mostly the white of the drawing

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
        picture = np.random.default_rng(1).integers(0, 256, (256, 256, 3), np.uint8)
        points = landmarks[:1] - (150, 60, 0)
        renderer = UNetRenderer(picture, points[0], loaded, crop=FaceCrop(0, 0, 256))
        (frame,) = renderer.frames(points)
        seen = np.concatenate([landmark_image(points[0]), picture], axis=-1)
        with torch.inference_mode():
            colours = network(torch.from_numpy(seen).permute(2, 0, 1)[None].float() / 255).tanh()
        expected = colours[0].permute(1, 2, 0).clamp(min=0).numpy() * 255
        assert np.abs(frame - expected).max() <= 0.51


def window_of(face, moved) -> Window:
    """The part of the crop that a mending network of 5 levels sees."""
    return Window.around(face_crop(face[1]).to_crop(moved)[:, 17:, :2], 32)


class TestMending:
    def test_it_sees_smooth_lines_the_portrait_and_the_warped_portrait(self, face, moved):
        picture, rest = face
        network, crop = Mends(0.0), face_crop(rest)
        list(mending(network, face).frames(moved[:1]))
        (seen,) = (network.seen[0] * 255).round().byte().permute(0, 2, 3, 1).numpy()
        warped = WarpRenderer(picture, rest).render(moved[0])
        window = window_of(face, moved[:1])
        part = np.s_[window.rows, window.columns]
        drawn = landmark_image(crop.to_crop(moved[0]), antialiased=True)
        np.testing.assert_array_equal(seen[..., :3], drawn[part])
        np.testing.assert_array_equal(seen[..., 3:6], cut(picture, crop)[part])
        np.testing.assert_array_equal(seen[..., 6:], cut(warped, crop)[part])

    def test_what_it_sees_is_round_brows_eyes_nose_and_mouth(self, face, moved):
        crop, window = face_crop(face[1]), window_of(face, moved)
        points = crop.to_crop(moved)[:, 17:, :2].reshape(-1, 2)
        inwards = np.min([points - (window.columns.start, window.rows.start)], axis=(0, 1))
        outwards = np.min([(window.columns.stop, window.rows.stop) - points], axis=(0, 1))
        assert (inwards >= WINDOW_MARGIN - 1).all() and (outwards >= WINDOW_MARGIN - 1).all()
        sizes = [part.stop - part.start for part in (window.rows, window.columns)]
        assert sizes == [160, 160]
        # One that is moved beyond the crop is still seen as far as the crop goes.
        window = Window.around(points + (0, 150), 64)
        assert window.rows.stop == CROP_SIZE and window.rows.start % 64 == 0

    def test_without_a_share_the_frames_are_the_warp_s_own(self, face, moved):
        warper = WarpRenderer(*face)
        for frame, points in zip(mending(Mends(0.0), face).frames(moved), moved, strict=True):
            np.testing.assert_array_equal(frame, warper.render(points))

    def test_what_is_mended_fades_in_from_the_border_of_the_window(self, face, moved):
        (frame,) = mending(Mends(1.0), face).frames(moved[:1])
        warped = WarpRenderer(*face).render(moved[0])
        crop, window = face_crop(face[1]), window_of(face, moved[:1])
        y, x = np.mgrid[: frame.shape[0], : frame.shape[1]]
        places = crop.to_crop(np.stack([x, y], -1).reshape(-1, 2)).T.reshape(2, *x.shape) + 0.5
        inwards = np.full(x.shape, np.inf)
        for place, part in zip(places, (window.columns, window.rows), strict=True):
            inwards = np.min([inwards, place - part.start, part.stop - place], axis=0)
        np.testing.assert_array_equal(frame[inwards < -3], warped[inwards < -3])
        deep = inwards > WINDOW_FADE + 3
        assert deep.mean() > 0.05 and (frame[deep] == (0, 0, 255)).all()
        ring = np.abs(inwards - WINDOW_FADE / 2) < 0.5
        red = np.abs(frame[ring].astype(int) - (0, 0, 255)).mean()
        assert 0.3 < red / np.abs(warped[ring].astype(int) - (0, 0, 255)).mean() < 0.7

    def test_only_what_is_mended_is_changed(self, face, moved):
        (frame,) = mending(Mends(1.0, slice(50, 90)), face).frames(moved[:1])
        warped = WarpRenderer(*face).render(moved[0])
        crop, window = face_crop(face[1]), window_of(face, moved[:1])
        changed = cut((frame != warped).any(-1)[..., None] * np.uint8(255), crop)
        rows, columns = np.nonzero(changed[..., 0] if changed.ndim == 3 else changed)
        top, left = window.rows.start, window.columns.start
        assert 45 < rows.min() - top < 55 and 85 < columns.max() - left < 95
        inside = np.s_[top + 60 : top + 80, left + 60 : left + 80]
        assert (cut(frame, crop)[inside] == (0, 0, 255)).all()

    def test_frames_do_not_depend_on_the_batch(self, face, moved):
        network = with_statistics(**MENDS, **SMALL)
        one, many = (list(mending(network, face, batch=size).frames(moved)) for size in (1, 3))
        assert len(one) == len(many) == len(moved)
        for a, b in zip(one, many, strict=True):
            assert np.abs(a.astype(int) - b).max() <= 1


class TestQuickNetwork:
    @pytest.mark.parametrize("sizes", [{}, MENDS], ids=["paints", "mends"])
    def test_folding_changes_no_number(self, sizes):
        network = with_statistics(**sizes, **SMALL)
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        quick = folded(network)
        pictures = torch.rand(2, network.config.inputs, 64, 48)
        expected, found = network(pictures), quick(pictures)
        assert expected.std() > 0.05
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
        assert quick.config.mends == network.config.mends
        kinds = {type(module) for module in quick.modules()}
        assert not kinds & {torch.nn.BatchNorm2d, torch.nn.Upsample}
        after = network.state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)

    @pytest.mark.parametrize("bias", [True, False])
    def test_enlarging_and_convolution_are_one(self, bias):
        conv = torch.nn.Conv2d(5, 7, 3, 1, 1, bias=bias, dtype=torch.float64)
        random = torch.random.get_rng_state()
        whole = enlarging(conv)
        assert torch.equal(torch.random.get_rng_state(), random)
        small = torch.randn(2, 5, 6, 9, dtype=torch.float64)
        large = torch.nn.functional.interpolate(small, scale_factor=2, mode="nearest")
        torch.testing.assert_close(whole(small), conv(large), atol=1e-12, rtol=0)

    @pytest.mark.parametrize("shape", [(3, 6, 10), (2, 7, 10), (1, 5, 3)])
    @pytest.mark.parametrize("bias", [True, False])
    def test_winograd_s_way_comes_to_the_same(self, shape, bias, monkeypatch):
        conv = torch.nn.Conv2d(5, 7, 3, padding=1, bias=bias, dtype=torch.float64)
        number, rows, columns = shape
        pictures = torch.randn(number, 5, rows, columns, dtype=torch.float64)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        quick = WinogradConv(conv)
        with torch.inference_mode():
            for most in (1, 2**20):  # frame by frame, and all at once
                monkeypatch.setattr("src.models.winograd.CACHED_BYTES", most)
                torch.testing.assert_close(quick(pictures), conv(pictures), atol=1e-12, rtol=0)

    @pytest.mark.parametrize(
        "change",
        [
            *({"kernel_size": 5}, {"stride": 2}, {"padding": 0}, {"dilation": 2}, {"groups": 2}),
            {"padding_mode": "reflect"},
        ],
    )
    def test_other_convolutions_are_none_of_winograd_s(self, change):
        usual = {"kernel_size": 3, "padding": 1}
        assert WinogradConv.fits(torch.nn.Conv2d(4, 4, **usual))
        assert not WinogradConv.fits(torch.nn.Conv2d(4, 4, **(usual | change)))

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_wide_layers_are_computed_in_winograd_s_way(self, dtype):
        network = with_statistics(num_downs=3, ngf=64, max_widening=4)
        quick = for_inference(network, "cpu", dtype)
        used = [module for module in quick.modules() if isinstance(module, WinogradConv)]
        # The innermost level and no other is 256 wide: two blocks of two convolutions.
        assert [tuple(module.weight.shape) for module in used] == 4 * [(16, 256, 256)]
        pictures = torch.rand(2, 6, 64, 48)
        with torch.inference_mode():
            expected, found = network(pictures), quick(pictures.to(dtype)).float()
        error = (found - expected).abs().mean() / expected.std()
        assert error < (1e-5 if dtype == torch.float32 else 0.02)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
    def test_a_network_that_is_on_a_device_already_is_made_quick_there(self):
        network = with_statistics(**MENDS, **SMALL)
        pictures = torch.rand(2, 9, 64, 48)
        expected = network(pictures)
        found = for_inference(network.to("cuda"), "cuda")(pictures.to("cuda", torch.bfloat16))
        assert (found.float().cpu() - expected).abs().mean() < 0.05 * expected.std()

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_frames_are_those_of_the_plain_network(self, face, moved, dtype):
        network = with_statistics(**MENDS, **SMALL)
        quick = for_inference(network, "cpu", dtype)
        assert {weight.dtype for weight in quick.parameters()} == {dtype}
        warped = [WarpRenderer(*face).render(points) for points in moved]
        for plain, fast, bare in zip(
            mending(network, face).frames(moved),
            mending(quick, face).frames(moved),
            warped,
            strict=True,
        ):
            inside = (plain != bare).any(-1)
            assert inside.mean() > 0.08
            difference = np.abs(plain.astype(int) - fast)[inside].mean()
            assert difference < (0.01 if dtype == torch.float32 else 2.0)

    def test_the_processor_s_own_numbers(self):
        assert quick_dtype(torch.device("cpu")) in (torch.float32, torch.bfloat16)


class TestDeviceCompositor:
    """On a device, the same pictures as `paste` makes."""

    @pytest.mark.parametrize(
        "crop", [CROP, FaceCrop(-20.3, 30.2, 330.7), FaceCrop(301.6, 77.1, 140.4)]
    )
    def test_it_pastes(self, picture, crop):
        rng = np.random.default_rng(2)
        face = cv2.GaussianBlur(rng.integers(0, 256, (256, 256, 3)).astype(np.uint8), (0, 0), 3)
        share = cv2.GaussianBlur(rng.random((256, 256), np.float32), (0, 0), 8)
        share = np.clip(8 * share - 3.5, 0, 1)
        compositor = DeviceCompositor(CropRegion.of(picture, crop), torch.device("cpu"))
        colours = torch.from_numpy(face).permute(2, 0, 1)[None] / 255
        for given in (None, share):
            there = None if given is None else torch.from_numpy(given)[None, None]
            (frame,) = compositor([picture], colours, there)
            difference = np.abs(frame.astype(int) - paste(picture, crop, face, given))
            assert difference.max() <= 4 and difference.mean() < 0.1


class TestThreads:
    def test_only_so_much_is_taken_ahead(self):
        taken = []

        def items():
            for number in range(50):
                taken.append(number)
                yield number

        with thread_pool(3, 1) as pool:
            results = in_order(pool, lambda number: number * number, items(), 4)
            for count, result in enumerate(results):
                assert result == count * count
                assert len(taken) <= count + 5
            assert len(taken) == 50

    def test_large_frames_go_in_small_batches(self, monkeypatch, landmarks):
        picture = np.zeros((300, 400, 3), np.uint8)
        monkeypatch.setattr(translate, "FRAME_BYTES", 8 * picture.nbytes)
        renderer = UNetRenderer(picture, landmarks[0], Copies(0), crop=CROP, batch=16)
        assert renderer.batch == 2 and renderer.streams == 1
        monkeypatch.setattr(translate, "FRAME_BYTES", 1)
        assert UNetRenderer(picture, landmarks[0], Copies(0), crop=CROP, batch=16).batch == 1

    def test_they_end_with_the_frames(self, face, moved):
        threads, computing = threading.active_count(), torch.get_num_threads()
        frames = mending(Mends(1.0), face, batch=1).frames(np.concatenate([moved] * 4))
        next(frames)
        assert threading.active_count() > threads
        frames.close()
        assert threading.active_count() == threads
        assert torch.get_num_threads() == computing

    def test_what_goes_wrong_in_them_is_said(self, face, moved):
        class Broken(Mends):
            def forward(self, pictures):
                raise RuntimeError("out of memory")

        threads = threading.active_count()
        with pytest.raises(RuntimeError, match="out of memory"):
            list(mending(Broken(1.0), face).frames(moved))
        assert threading.active_count() == threads


def test_a_config_of_neither_kind_is_refused(tmp_path):
    network = ResUnetGenerator(TranslationConfig(**SMALL))
    path = tmp_path / "odd.pth"
    torch.save(
        {"G": network.state_dict(), "config": SMALL | {"input_nc": 9, "output_nc": 3}},
        path,
    )
    with pytest.raises(InputError, match=r"odd\.pth: its config makes no translation network"):
        load_image_translation(path, "cpu")
