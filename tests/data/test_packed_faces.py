"""Packed face images."""

import cv2
import numpy as np
import pytest

import main_prepare_data
from src.data import packed_faces
from src.errors import InputError
from src.face.detection import detect_landmarks
from src.io.files import write_arrays
from tests.data.samples import portraits, write_packed


@pytest.fixture(scope="module")
def faces():
    return portraits()


@pytest.fixture(scope="module")
def root(faces, tmp_path_factory):
    return write_packed(tmp_path_factory.mktemp("root"), faces)


def test_packed_faces_come_back_where_they_were(root, faces):
    faces_read = packed_faces.read_faces(root, "train", "pictures")

    assert faces_read.names.tolist() == ["hopper", "astronaut", "still0", "still1"]
    assert faces_read.speakers.tolist() == ["hopper", "astronaut", "still", "still"]
    assert faces_read.starts.tolist() == [0, 6, 12, 13, 14]
    packed = faces_read.decode(12)
    assert packed.shape == (packed_faces.PACKED_SIZE, packed_faces.PACKED_SIZE, 3)
    # The face detected in the packed image lies where its packed landmarks are.
    again = detect_landmarks(packed, "mediapipe")[:, :2]
    apart = np.linalg.norm(again - faces_read.landmarks[12][:, :2], axis=1).mean()
    assert apart < 0.02 * np.ptp(again[:, 0])
    # All frames of a clip are cut at one place: what does not move stays.
    first, last = faces_read.landmarks[0], faces_read.landmarks[5]
    assert np.abs(first[:48] - last[:48]).max() < 1e-3
    assert last[66, 1] - first[66, 1] > 5


def test_speakers_have_about_as_many_frames():
    speakers = {f"a{i:02d}": "a" for i in range(40)} | {"b0": "b", "b1": "b"}
    chosen = packed_faces.frames_per_clip(speakers, most=30)

    assert {name: count for name, count in chosen.items() if name[0] == "b"} == {"b0": 15, "b1": 15}
    of_a = {name: count for name, count in chosen.items() if name[0] == "a"}
    assert of_a == {"a00": 6, "a10": 6, "a20": 6, "a29": 6, "a39": 6}


def test_small_or_undetected_faces_are_not_packed(faces):
    image, landmarks = faces[0]
    missing = np.full((3, 68, 3), np.nan)
    small = cv2.resize(image, None, fx=0.1, fy=0.1)

    assert packed_faces.pack_clip("a", "a", [image] * 3, missing, 3) is None
    assert packed_faces.pack_clip("a", "a", [small], landmarks[None] * 0.1, 3) is None


@pytest.mark.parametrize("broken", ["text", "other"])
def test_a_file_without_packed_faces_is_named(tmp_path, broken):
    path = tmp_path / "dump" / "pictures_train.npz"
    path.parent.mkdir()
    if broken == "text":
        path.write_text("no images")
    else:
        write_arrays(path, mel=np.zeros(3))

    with pytest.raises(InputError, match=r"pictures_train\.npz: "):
        packed_faces.read_faces(tmp_path, "train", "pictures")
    with pytest.raises(InputError, match="--step pictures"):
        packed_faces.read_faces(tmp_path, "val", "pictures")


def test_packing_is_a_step_of_the_preparation(tmp_path, faces, capsys):
    stills = tmp_path / "stills"
    stills.mkdir()
    cv2.imwrite(str(stills / "hopper.png"), faces[0][0])
    cv2.imwrite(str(stills / "nobody.png"), np.full((64, 64, 3), 127, np.uint8))
    (stills / "notes.txt").write_text("no picture")
    arguments = ["--root_dir", str(tmp_path), "--step", "pictures", "--stills", str(stills)]

    assert main_prepare_data.main([*arguments, "--jobs", "1"]) == 0
    assert "nobody.png" in "".join(capsys.readouterr())
    assert packed_faces.read_faces(tmp_path, "train", "pictures").names.tolist() == ["hopper"]
