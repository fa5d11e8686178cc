"""Image translation trains: packed faces, pairs, losses against numbers by hand, whole commands."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

import main_train_image_translation
from src.data import packed_faces
from src.data.packed_faces import MARGIN
from src.errors import InputError
from src.face.topology import LIPS, MIRRORED
from src.models.config import TranslationConfig
from src.models.dimensions import IMAGE_SIZE
from src.models.image_translation import ResUnetGenerator
from src.models.vgg import Vgg19
from src.render.landmark_image import landmark_image
from src.training import image_translation
from src.training.losses import image_translation as losses
from src.training.losses import weighted_losses
from src.training.losses.image_translation import TranslationBatch
from src.training.pairs import PairMaker, pose_distance
from src.training.settings import ImageTranslationTraining
from tests.data.samples import portraits, write_packed

ROOT = Path(__file__).resolve().parents[2]
TINY = ["--ngf", "4", "--max_widening", "2", "--window", "64", "--batch_size", "2"]
TINY += ["--num_frames", "2", "--num_workers", "0", "--threads", "1", "--device", "cpu"]
TINY += ["--lambda_perceptual_loss", "0", "--lambda_style_loss", "0", "--mends"]


@pytest.fixture(autouse=True)
def few_pairs(monkeypatch):
    """Validate on 2 pairs: 32 take most of the time."""
    monkeypatch.setattr(image_translation, "VALIDATION_PAIRS", 2)


@pytest.fixture(scope="module")
def faces():
    return portraits()


@pytest.fixture(scope="module")
def root(faces, tmp_path_factory):
    """Shards: a clip of either face and both as stills to train on, one clip held out."""
    return write_packed(tmp_path_factory.mktemp("root"), faces)


def test_pairs_of_a_number_are_always_the_same(root):
    images = packed_faces.read_faces(root, "train", "pictures")
    one, other = (PairMaker(images, 2)[17] for _ in range(2))

    for field in ("landmark_images", "portraits", "warped", "targets", "landmarks"):
        assert np.array_equal(getattr(one, field), getattr(other, field))
    assert not np.array_equal(one.targets, PairMaker(images, 2)[18].targets)


def test_pairs_without_augmentation_are_the_packed_images(root):
    images = packed_faces.read_faces(root, "val", "pictures")
    pairs = PairMaker(images, 3, augment=False)[0]
    square = np.s_[MARGIN:-MARGIN, MARGIN:-MARGIN]
    known = [images.decode(i)[square] for i in range(len(images.landmarks))]

    for number in range(3):
        errors = [np.abs(frame.astype(int) - pairs.targets[number]).max() for frame in known]
        place = int(np.argmin(errors))
        assert errors[place] == 0
        landmarks = images.landmarks[place, :, :2] - MARGIN
        assert np.abs(pairs.landmarks[number] - landmarks).max() < 1e-3
        assert np.array_equal(
            pairs.landmark_images[number], landmark_image(landmarks, antialiased=True)
        )
    # The portrait is a frame of the clip too, and its warp is nearer to the target than it is.
    assert min(np.abs(frame.astype(int) - pairs.portraits[0]).max() for frame in known) == 0
    error = [np.abs(pairs.targets.astype(int) - x).mean() for x in (pairs.warped, pairs.portraits)]
    assert error[0] < error[1]


def test_a_stills_target_is_the_still_and_its_portrait_has_another_face(root):
    images = packed_faces.read_faces(root, "train", "pictures")
    maker = PairMaker(images, 1, augment=False)
    pairs = next(p for p in map(maker.__getitem__, range(50)) if p.name == "still0")
    square = np.s_[MARGIN:-MARGIN, MARGIN:-MARGIN]

    assert np.array_equal(pairs.targets[0], images.decode(12)[square])
    error = [np.abs(pairs.targets.astype(int) - x).mean() for x in (pairs.warped, pairs.portraits)]
    assert error[1] > 1 and error[0] < error[1]


def test_windows_follow_the_images(root):
    images = packed_faces.read_faces(root, "train", "pictures")
    for number in range(12):
        pairs = PairMaker(images, 1, refine=False, window=96)[number]
        assert pairs.targets.shape == (1, 96, 96, 3)
        # The lines drawn over the window itself: those of the square, whose part it is.
        whole = np.full((IMAGE_SIZE + 192, IMAGE_SIZE + 192, 3), 255, np.uint8)
        whole[96:192, 96:192] = pairs.landmark_images[0]
        known = landmark_image(pairs.landmarks[0] + 96, whole.shape[:2])[96:192, 96:192]
        assert (known != pairs.landmark_images[0]).any(-1).mean() < 0.02  # whole pixels are cut off


def test_half_of_the_pairs_are_mirrored_with_left_and_right_exchanged(root):
    images = packed_faces.read_faces(root, "val", "pictures")
    makers = [PairMaker(images, 1)[number] for number in range(24)]
    # The jaw begins at the subject's right, the image's left, mirrored or not.
    assert all(pairs.landmarks[0, 0, 0] < pairs.landmarks[0, 16, 0] for pairs in makers)
    parting = [np.mean(p.targets[0, :60, :128]) - np.mean(p.targets[0, :60, 128:]) for p in makers]
    assert 5 <= sum(x > 0 for x in parting) <= 19
    assert sorted(MIRRORED) == list(range(68))


def test_pose_distance_is_of_turns_and_nothing_else(faces):
    face = faces[0][1]
    angle = np.deg2rad(20)
    turn = np.array(
        [(np.cos(angle), 0, np.sin(angle)), (0, 1, 0), (-np.sin(angle), 0, np.cos(angle))]
    )
    roll = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    flat = face[:, :2]
    moved = [1.3 * flat @ roll.T + 7, (face @ turn.T)[:, :2]]

    same, turned = pose_distance(np.stack(moved), flat)
    assert same < 1e-9 and turned > 0.03


def test_regions_weigh_mouth_and_eyes():
    landmarks = torch.full((1, 68, 2), 10.0)
    landmarks[0, LIPS] = torch.tensor([40.0, 50.0])
    landmarks[0, 48], landmarks[0, 54] = torch.tensor([30.0, 50.0]), torch.tensor([50.0, 50.0])

    centre, half = losses.region(landmarks, LIPS)
    # 20 wide: half of it with a margin of 0.3, and three quarters of that in height.
    assert centre.tolist() == [[40.0, 50.0]]
    assert half.tolist() == [pytest.approx([13.0, 9.75])]
    mask = losses.region_mask(landmarks, LIPS, 100)[0, 0]
    assert mask[50, 40] > 0.999 and mask[50, 60] < 0.01 and mask[65, 40] < 0.01
    # At the border of the region the sigmoid is a half.
    assert mask[50, 53] == pytest.approx(0.5, abs=0.01)


def test_the_mouths_discriminator_sees_the_mouth():
    landmarks = torch.zeros(1, 68, 2)
    landmarks[0, LIPS] = torch.tensor([40.0, 50.0])
    landmarks[0, 48], landmarks[0, 54] = torch.tensor([30.0, 50.0]), torch.tensor([50.0, 50.0])
    across = torch.arange(100.0).expand(1, 1, 100, 100)

    cropped = losses.crop_mouths(across, landmarks)
    size = losses.MOUTH_SIZE
    assert cropped.shape == (1, 1, size, size)
    # 26 pixels about column 40, whose pixels' outer edges are 27 and 53.
    steps = 27 + (torch.arange(size) + 0.5) * 26 / size
    assert torch.allclose(cropped[0, 0, 5], steps, atol=1e-3)


def settings_of(**changes) -> ImageTranslationTraining:
    return ImageTranslationTraining(root_dir=Path(), **changes)


def test_losses_by_hand():
    truth = torch.zeros(1, 3, 8, 8)
    predicted = truth.clone()
    predicted[..., 0, 0] = 0.8
    landmarks = torch.full((1, 68, 2), -100.0)  # no region in the image
    alpha = torch.full((1, 1, 8, 8), 0.25)
    batch = TranslationBatch(predicted, alpha, truth, truth, landmarks)

    settings = settings_of(l1_weight=2.0, alpha_weight=4.0, perceptual_weight=0, style_weight=0)
    parts = weighted_losses(losses.LOSSES, settings, batch)
    assert parts["l1"].item() == pytest.approx(2 * 0.8 / 64)
    assert parts["alpha"].item() == pytest.approx(4 * 0.25)
    # One channel [1, 2], one [3, 4]: products 5, 11, 25, over 2 channels x 2 places.
    gram = losses.gram(torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]]))
    assert gram.tolist() == [[[5 / 4, 11 / 4], [11 / 4, 25 / 4]]]
    # 20 dB is an error of a tenth.
    assert image_translation.decibels(torch.tensor([0.01, 0.01])) == pytest.approx(20)


class Fixed(torch.nn.Module):
    """A discriminator whose score is the first channel's mean and whose feature is the image."""

    def forward(self, images):
        return images[:, :1].mean((2, 3), keepdim=True), [images[:, :3]]


def test_losses_of_discriminators_by_hand():
    predicted, truth = torch.full((2, 3, 8, 8), 0.25), torch.full((2, 3, 8, 8), 0.75)
    drawn, landmarks = torch.zeros(2, 3, 8, 8), torch.zeros(2, 68, 2)
    discriminators = torch.nn.ModuleDict({"face": Fixed()})
    batch = TranslationBatch(
        predicted, None, truth, drawn, landmarks, discriminators=discriminators
    )

    # Hinge: the real score is 0.25 below 1, the fake one 1.25 above -1.
    parts = losses.discriminator_losses(batch)
    assert parts["discriminator_face"].item() == pytest.approx(0.25 + 1.25)
    settings = settings_of(
        perceptual_weight=0, style_weight=0, adversarial_weight=2.0, matching_weight=3.0
    )
    parts = weighted_losses(losses.LOSSES, settings, batch)
    assert parts["adversarial"].item() == pytest.approx(-2 * 0.25)
    assert parts["matching"].item() == pytest.approx(3 * 0.5)


def test_other_processes_draw_the_same_pairs_in_the_same_order(root):
    maker = PairMaker(packed_faces.read_faces(root, "train", "pictures"), 2, window=64)
    drawn = []
    for workers in (0, 2):
        settings = settings_of(batch_size=2, num_workers=workers)
        batches = image_translation.batches(maker, settings, np.random.default_rng(3))
        drawn.append([next(batches) for _ in range(4)])
    for one, other in zip(*drawn, strict=True):
        assert one.names == other.names
        assert all(map(torch.equal, one.tensors, other.tensors))
    assert not torch.equal(drawn[0][0].tensors[1], drawn[0][1].tensors[1])


def test_vgg_has_torchvisions_names_and_layers():
    vgg = Vgg19()
    weights = {key: tuple(value.shape) for key, value in vgg.state_dict().items()}
    assert weights["features.0.weight"] == (64, 3, 3, 3)
    assert weights["features.28.weight"] == (512, 512, 3, 3)
    assert len(weights) == 2 * 13
    activations = vgg(torch.rand(1, 3, 32, 32))
    assert [tuple(x.shape[1:]) for x in activations] == [
        (64, 32, 32),
        (128, 16, 16),
        (256, 8, 8),
        (512, 4, 4),
        (512, 2, 2),
    ]
    ones, zeros = vgg(torch.ones(1, 3, 32, 32)), vgg(torch.zeros(1, 3, 32, 32))
    for distance in ("perceptual", "style"):
        for other, difference in ((ones, False), (zeros, True)):
            batch = SimpleNamespace(activations=(ones, other))
            assert (losses.LOSSES[distance](batch).item() > 0) == difference


def test_without_vggs_weights_a_warning_names_what_is_off(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert losses.load_vgg(None) is None
    assert "perceptual and style loss are off" in caplog.text
    torch.save(Vgg19().state_dict(), tmp_path / "vgg.pth")
    assert isinstance(losses.load_vgg(tmp_path / "vgg.pth"), Vgg19)
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"other\.pth"):
        losses.load_vgg(tmp_path / "other.pth")


def test_a_refinement_network_starts_from_the_warped_portrait():
    network = ResUnetGenerator(TranslationConfig(mends=True, num_downs=3, ngf=4, max_widening=2))
    images = [torch.rand(2, 3, 32, 32) for _ in range(3)]
    predicted, alpha = image_translation.predict(network, *images)

    assert torch.allclose(predicted, images[2], atol=1e-6)
    assert torch.allclose(alpha, torch.tensor(0.5))


def trained(root: Path, name: str, *arguments: str) -> dict:
    given = ["--train", "--write", "--root_dir", str(root), "--name", name, *TINY, *arguments]
    assert main_train_image_translation.main(given) == 0
    return torch.load(root / "ckpt" / name / "ckpt_last.pth", weights_only=True)


def test_a_resumed_training_equals_one_without_a_stop(root, capsys):
    adversarial = ["--lambda_adversarial_loss", "0.1", "--lambda_matching_loss", "1", "--ndf", "4"]
    often = ["--steps", "6", "--log_every", "1", "--jpg_freq", "3", "--ckpt_last_freq", "3"]
    whole = trained(root, "whole", *adversarial, *often, "--ckpt_epoch_freq", "1")
    capsys.readouterr()
    # Killed after three steps: the schedule is that of six.
    script = (
        "import sys, main_train_image_translation as main\n"
        "from src.training import checkpoints\n"
        "import src.training.image_translation as training\n"
        "training.VALIDATION_PAIRS = 2\n"
        "save = checkpoints.save_checkpoint\n"
        "def stop(path, **contents):\n"
        "    save(path, **contents)\n"
        "    if contents.get('step') == 3 and path.name == 'ckpt_last.pth':\n"
        "        sys.exit(9)\n"
        "checkpoints.save_checkpoint = stop\n"
        "main.main(sys.argv[1:])\n"
    )
    given = ["--train", "--write", "--root_dir", str(root), "--name", "halves"]
    command = [sys.executable, "-c", script, *given, *TINY, *adversarial, *often]
    assert subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 9
    halves = trained(root, "halves", *adversarial, *often, "--resume")

    assert whole["step"] == halves["step"] == 6
    for part in ("G", "network", "judges"):
        assert all(torch.equal(value, halves[part][key]) for key, value in whole[part].items())
    sheet = cv2.imread(str(root / "log" / "whole" / "step_000003.jpg"))
    assert sheet.shape == (4 * 64, 5 * 64, 3)
    assert (root / "log" / "whole" / "held_out.jpg").is_file()


def test_training_makes_the_loss_fall(root, capsys):
    generates = [option for option in TINY if option != "--mends"]
    given = ["--train", "--root_dir", str(root), "--name", "longer", *generates, "--steps", "30"]
    given += ["--log_every", "1", "--lr", "0.03", "--jpg_freq", "0"]
    assert main_train_image_translation.main(given) == 0
    losses = re.findall(r"^step .* of .*: l1 ([\d.]+)", capsys.readouterr().out, re.M)
    l1 = [float(loss) for loss in losses]

    assert len(l1) == 30
    assert np.mean(l1[-6:]) < 0.8 * np.mean(l1[:6])
    assert not (root / "ckpt" / "longer").exists()


def test_validation_alone_with_the_papers_network(root, capsys):
    arguments = ["--root_dir", str(root), *TINY[:-1]]
    assert main_train_image_translation.main(arguments) == 0
    output = capsys.readouterr().out
    assert "mouth_psnr" in output and "warped_psnr" in output


def test_unusable_windows_and_images_are_refused(root, faces, tmp_path, capsys):
    arguments = ["--train", "--root_dir", str(root), *TINY, "--window", "80"]
    assert main_train_image_translation.main(arguments) == 2
    assert "--window 80: must be a multiple of 64 for" in capsys.readouterr().err
    portrait, landmarks = faces[0]
    alone = packed_faces.pack_clip("a", "a", [portrait], landmarks[None], most=1)
    packed_faces.write_faces(tmp_path, "val", "pictures", [alone])
    assert main_train_image_translation.main(["--root_dir", str(tmp_path), *TINY]) == 2
    assert "no clip of two images" in capsys.readouterr().err
