"""Image translation trains: packed faces, pairs, losses against numbers by hand, whole commands."""

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import main_train_image_translation
from src.data import image_shards
from src.data.image_shards import MARGIN
from src.errors import InputError
from src.face.crop import CROP_SIZE
from src.face.topology import LIPS, mirror_order
from src.models.config import TranslationConfig
from src.models.image_translation import ResUnetGenerator
from src.models.vgg import Vgg19
from src.render.landmark_image import landmark_image
from src.training import image_translation, perceptual, translation_losses
from src.training.pairs import PairMaker, turned_apart
from tests.data.samples import portraits, write_packed

ROOT = Path(__file__).resolve().parents[2]
TINY = ["--ngf", "4", "--max_widening", "2", "--window", "64", "--batch_size", "2"]
TINY += ["--num_frames", "2", "--num_workers", "0", "--threads", "1", "--device", "cpu"]
TINY += ["--lambda_perceptual_loss", "0", "--lambda_style_loss", "0", "--mends"]


@pytest.fixture(autouse=True)
def few_pairs(monkeypatch):
    """Judging 32 pairs is what takes the time."""
    monkeypatch.setattr(image_translation, "JUDGED_PAIRS", 2)


@pytest.fixture(scope="module")
def faces():
    return portraits()


@pytest.fixture(scope="module")
def root(faces, tmp_path_factory):
    """Shards: a clip of either face and both as stills to train on, one clip held out."""
    return write_packed(tmp_path_factory.mktemp("root"), faces)


def test_pairs_of_a_number_are_always_the_same(root):
    pictures = image_shards.read_shards(root, "train", "pictures")
    one, other = (PairMaker(pictures, 2, seed=4)(17) for _ in range(2))

    for field in ("lines", "portrait", "warped", "target", "landmarks"):
        assert np.array_equal(getattr(one, field), getattr(other, field))
    assert not np.array_equal(one.target, PairMaker(pictures, 2, seed=4)(18).target)


def test_plain_pairs_are_the_packed_pictures(root):
    pictures = image_shards.read_shards(root, "val", "pictures")
    pairs = PairMaker(pictures, 3, plain=True)(0)
    square = np.s_[MARGIN:-MARGIN, MARGIN:-MARGIN]
    known = [pictures.decode(i)[square] for i in range(len(pictures.jpegs))]

    for number in range(3):
        errors = [np.abs(frame.astype(int) - pairs.target[number]).max() for frame in known]
        place = int(np.argmin(errors))
        assert errors[place] == 0
        landmarks = pictures.landmarks[place, :, :2] - MARGIN
        assert np.abs(pairs.landmarks[number] - landmarks).max() < 1e-3
        assert np.array_equal(pairs.lines[number], landmark_image(landmarks, antialiased=True))
    # The portrait is a frame of the clip too, and its warp is nearer to the target than it is.
    assert min(np.abs(frame.astype(int) - pairs.portrait[0]).max() for frame in known) == 0
    error = [np.abs(pairs.target.astype(int) - x).mean() for x in (pairs.warped, pairs.portrait)]
    assert error[0] < error[1]


def test_a_stills_target_is_the_still_and_its_portrait_has_another_face(root):
    pictures = image_shards.read_shards(root, "train", "pictures")
    maker = PairMaker(pictures, 1, plain=True)
    pairs = next(p for p in map(maker, range(50)) if p.name == "still0")
    square = np.s_[MARGIN:-MARGIN, MARGIN:-MARGIN]

    assert np.array_equal(pairs.target[0], pictures.decode(12)[square])
    error = [np.abs(pairs.target.astype(int) - x).mean() for x in (pairs.warped, pairs.portrait)]
    assert error[1] > 1 and error[0] < error[1]


def test_windows_follow_the_pictures(root):
    pictures = image_shards.read_shards(root, "train", "pictures")
    for number in range(12):
        pairs = PairMaker(pictures, 1, mends=False, window=96)(number)
        assert pairs.target.shape == (1, 96, 96, 3)
        # The lines drawn over the window itself: those of the square, whose part it is.
        whole = np.full((CROP_SIZE + 192, CROP_SIZE + 192, 3), 255, np.uint8)
        whole[96:192, 96:192] = pairs.lines[0]
        known = landmark_image(pairs.landmarks[0] + 96, whole.shape[:2])[96:192, 96:192]
        assert (known != pairs.lines[0]).any(-1).mean() < 0.02  # whole pixels are cut off


def test_half_of_the_pairs_are_mirrored_with_left_and_right_exchanged(root):
    pictures = image_shards.read_shards(root, "val", "pictures")
    makers = [PairMaker(pictures, 1)(number) for number in range(24)]
    # The jaw begins at the subject's right, the picture's left, mirrored or not.
    assert all(pairs.landmarks[0, 0, 0] < pairs.landmarks[0, 16, 0] for pairs in makers)
    parting = [np.mean(p.target[0, :60, :128]) - np.mean(p.target[0, :60, 128:]) for p in makers]
    assert 5 <= sum(x > 0 for x in parting) <= 19
    assert sorted(mirror_order()) == list(range(68))


def test_turned_apart_sees_turning_and_nothing_else(faces):
    face = faces[0][1]
    angle = np.deg2rad(20)
    turn = np.array(
        [(np.cos(angle), 0, np.sin(angle)), (0, 1, 0), (-np.sin(angle), 0, np.cos(angle))]
    )
    roll = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    flat = face[:, :2]
    moved = [1.3 * flat @ roll.T + 7, (face @ turn.T)[:, :2]]

    same, turned = turned_apart(np.stack(moved), flat)
    assert same < 1e-9 and turned > 0.03


def test_regions_weigh_mouth_and_eyes():
    landmarks = torch.full((1, 68, 2), 10.0)
    landmarks[0, LIPS] = torch.tensor([40.0, 50.0])
    landmarks[0, 48], landmarks[0, 54] = torch.tensor([30.0, 50.0]), torch.tensor([50.0, 50.0])

    centre, half = translation_losses.region(landmarks, LIPS)
    # 20 wide: half of it with 0.3 of room, and three quarters of that in height.
    assert centre.tolist() == [[40.0, 50.0]]
    assert half.tolist() == [pytest.approx([13.0, 9.75])]
    mask = translation_losses.region_mask(landmarks, LIPS, 100)[0, 0]
    assert mask[50, 40] > 0.999 and mask[50, 60] < 0.01 and mask[65, 40] < 0.01
    # At the border of the region the sigmoid is a half.
    assert mask[50, 53] == pytest.approx(0.5, abs=0.01)


def test_the_mouths_judge_sees_the_mouth():
    landmarks = torch.zeros(1, 68, 2)
    landmarks[0, LIPS] = torch.tensor([40.0, 50.0])
    landmarks[0, 48], landmarks[0, 54] = torch.tensor([30.0, 50.0]), torch.tensor([50.0, 50.0])
    across = torch.arange(100.0).expand(1, 1, 100, 100)

    seen = translation_losses.mouths(across, landmarks)
    size = translation_losses.MOUTH_SIZE
    assert seen.shape == (1, 1, size, size)
    # 26 pixels about column 40, whose pixels' outer edges are 27 and 53.
    steps = 27 + (torch.arange(size) + 0.5) * 26 / size
    assert torch.allclose(seen[0, 0, 5], steps, atol=1e-3)


def weights(**changed) -> translation_losses.Weights:
    given = {field: 0 for field in translation_losses.Weights.__dataclass_fields__}
    given |= {"l1_weight": 1.0, "bfloat16": False}
    return translation_losses.Weights(**{**given, **changed})


def test_losses_by_hand():
    true = torch.zeros(1, 3, 8, 8)
    frame = true.clone()
    frame[..., 0, 0] = 0.8
    landmarks = torch.full((1, 68, 2), -100.0)  # no region in the picture
    made = translation_losses.Made(frame, torch.full((1, 1, 8, 8), 0.25))

    parts = translation_losses.generator_losses(
        made, true, true, landmarks, weights(l1_weight=2.0, share_weight=4.0)
    )
    assert parts["l1"].item() == pytest.approx(2 * 0.8 / 64)
    assert parts["share"].item() == pytest.approx(4 * 0.25)
    # One channel [1, 2], one [3, 4]: products 5, 11, 25, over 2 channels x 2 places.
    gram = perceptual.gram(torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]]))
    assert gram.tolist() == [[[5 / 4, 11 / 4], [11 / 4, 25 / 4]]]
    # 20 dB is an error of a tenth.
    assert image_translation.decibels(torch.tensor([0.01, 0.01])) == pytest.approx(20)


class Fixed(torch.nn.Module):
    """A judge that says the first channel's mean and saw just the picture."""

    def forward(self, pictures):
        return pictures[:, :1].mean((2, 3), keepdim=True), [pictures[:, :3]]


def test_judges_by_hand():
    judges = torch.nn.ModuleDict({"face": Fixed()})
    made, true = torch.full((2, 3, 8, 8), 0.25), torch.full((2, 3, 8, 8), 0.75)
    lines, landmarks = torch.zeros(2, 3, 8, 8), torch.zeros(2, 68, 2)

    # Hinge: what is true falls short of 1 by 0.25, what is made exceeds -1 by 1.25.
    parts = translation_losses.judge_losses(judges, made, true, lines, landmarks)
    assert parts["judge_face"].item() == pytest.approx(0.25 + 1.25)
    parts = translation_losses.generator_losses(
        translation_losses.Made(made, None),
        true,
        lines,
        landmarks,
        weights(l1_weight=0.0, adversarial_weight=2.0, matching_weight=3.0),
        judges=judges,
    )
    assert parts["adversarial"].item() == pytest.approx(-2 * 0.25)
    assert parts["matching"].item() == pytest.approx(3 * 0.5)


def test_other_processes_draw_the_same_pairs_in_the_same_order(root):
    maker = PairMaker(image_shards.read_shards(root, "train", "pictures"), 2, window=64)
    drawn = []
    for workers in (0, 2):
        options = image_translation.Options(
            batch_size=2,
            num_frames=2,
            num_workers=workers,
            window=64,
            judges=(),
            judge_width=4,
            learning_rate=1e-3,
            weights=weights(),
            sheet_every=0,
            kept_every=0,
            seed=0,
        )
        source = image_translation.Drawn(maker, options, np.random.default_rng(3))
        drawn.append([source() for _ in range(4)])
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
    seen = vgg(torch.rand(1, 3, 32, 32))
    assert [tuple(x.shape[1:]) for x in seen] == [
        (64, 32, 32),
        (128, 16, 16),
        (256, 8, 8),
        (512, 4, 4),
        (512, 2, 2),
    ]
    same = perceptual.compared(vgg, torch.ones(1, 3, 32, 32), torch.ones(1, 3, 32, 32))
    assert [x.item() for x in same] == [0, 0]
    other = perceptual.compared(vgg, torch.ones(1, 3, 32, 32), torch.zeros(1, 3, 32, 32))
    assert all(x.item() > 0 for x in other)


def test_without_vggs_weights_a_line_says_what_is_off(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert perceptual.find_vgg(None) is None
    assert "perceptual and the style loss are off" in caplog.text
    torch.save(Vgg19().state_dict(), tmp_path / "vgg.pth")
    assert isinstance(perceptual.find_vgg(tmp_path / "vgg.pth"), Vgg19)
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"other\.pth"):
        perceptual.find_vgg(tmp_path / "other.pth")


def test_a_mending_network_begins_with_the_warped_portrait():
    network = ResUnetGenerator(TranslationConfig(mends=True, num_downs=3, ngf=4, max_widening=2))
    pictures = [torch.rand(2, 3, 32, 32) for _ in range(3)]
    made = translation_losses.make(network, *pictures)

    assert torch.allclose(made.frame, pictures[2], atol=1e-6)
    assert torch.allclose(made.share, torch.tensor(0.5))


def trained(root: Path, name: str, *arguments: str) -> dict:
    given = ["--train", "--write", "--root_dir", str(root), "--name", name, *TINY, *arguments]
    assert main_train_image_translation.main(given) == 0
    return torch.load(root / "ckpt" / name / "ckpt_last.pth", weights_only=True)


def test_training_goes_down_and_on_after_a_stop_as_without_one(root, capsys):
    judges = ["--lambda_adversarial_loss", "0.1", "--lambda_matching_loss", "1", "--ndf", "4"]
    often = ["--steps", "6", "--log_every", "1", "--jpg_freq", "3", "--ckpt_last_freq", "3"]
    whole = trained(root, "whole", *judges, *often, "--ckpt_epoch_freq", "1")
    capsys.readouterr()
    # Killed after three steps: the schedule is that of six.
    script = (
        "import sys, src.training.runs as runs, main_train_image_translation as main\n"
        "import src.training.image_translation as training\n"
        "training.JUDGED_PAIRS = 2\n"
        "save = runs.save_run\n"
        "def stop(path, **contents):\n"
        "    save(path, **contents)\n"
        "    if contents.get('step') == 3 and path.name == 'ckpt_last.pth':\n"
        "        sys.exit(9)\n"
        "runs.save_run = stop\n"
        "main.main(sys.argv[1:])\n"
    )
    given = ["--train", "--write", "--root_dir", str(root), "--name", "halves"]
    command = [sys.executable, "-c", script, *given, *TINY, *judges, *often]
    assert subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 9
    halves = trained(root, "halves", *judges, *often, "--resume")

    assert whole["step"] == halves["step"] == 6
    for part in ("G", "network", "judges"):
        assert all(torch.equal(value, halves[part][key]) for key, value in whole[part].items())
    sheet = cv2.imread(str(root / "log" / "whole" / "step_000003.jpg"))
    assert sheet.shape == (4 * 64, 5 * 64, 3)
    assert (root / "log" / "whole" / "held_out.jpg").is_file()


def test_training_makes_the_loss_fall(root, capsys):
    paints = [option for option in TINY if option != "--mends"]
    given = ["--train", "--root_dir", str(root), "--name", "longer", *paints, "--steps", "30"]
    given += ["--log_every", "1", "--lr", "0.03", "--jpg_freq", "0"]
    assert main_train_image_translation.main(given) == 0
    losses = re.findall(r"^step .* of .*: l1 ([\d.]+)", capsys.readouterr().out, re.M)
    l1 = [float(loss) for loss in losses]

    assert len(l1) == 30
    assert np.mean(l1[-6:]) < 0.8 * np.mean(l1[:6])
    assert not (root / "ckpt" / "longer").exists()


def test_validation_alone_and_the_painting_network(root, capsys):
    arguments = ["--root_dir", str(root), *TINY[:-1]]
    assert main_train_image_translation.main(arguments) == 0
    said = capsys.readouterr().out
    assert "mouth_psnr" in said and "warped_psnr" in said


def test_windows_and_pictures_that_make_nothing_are_refused(root, faces, tmp_path, capsys):
    arguments = ["--train", "--root_dir", str(root), *TINY, "--window", "80"]
    assert main_train_image_translation.main(arguments) == 2
    assert "--window 80: must be a multiple of 64 for" in capsys.readouterr().err
    picture, landmarks = faces[0]
    alone = image_shards.pack_clip("a", "a", [picture], landmarks[None], most=1)
    image_shards.write_shards(tmp_path, "val", "pictures", [alone])
    assert main_train_image_translation.main(["--root_dir", str(tmp_path), *TINY]) == 2
    assert "neither a still nor a clip of two" in capsys.readouterr().err
