"""Images of every kind are read upright and in 8 bits, and bad ones are refused by name."""

import struct
import zlib

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from src.errors import InputError
from src.io.image import read_image


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return skimage.data.astronaut()[:, 100:400, ::-1].copy()


def encoded(image: np.ndarray, extension: str) -> bytes:
    return cv2.imencode(extension, image)[1].tobytes()


def with_exif(jpeg: bytes, orientation: int) -> bytes:
    """A JPEG with an EXIF block that holds nothing but the orientation."""
    tiff = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    block = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


@pytest.mark.parametrize("extension", [".png", ".bmp", ".tiff", ".ppm"])
def test_lossless_formats(astronaut, tmp_path, extension):
    path = tmp_path / f"image{extension}"
    path.write_bytes(encoded(astronaut, extension))
    np.testing.assert_array_equal(read_image(path), astronaut)


@pytest.mark.parametrize("extension", [".jpg", ".webp"])
def test_lossy_formats(astronaut, tmp_path, extension):
    path = tmp_path / f"image{extension}"
    path.write_bytes(encoded(astronaut, extension))
    assert np.abs(read_image(path).astype(int) - astronaut).mean() < 5


def test_extension_may_be_wrong(astronaut, tmp_path):
    path = tmp_path / "image.jpg"
    path.write_bytes(encoded(astronaut, ".png"))
    np.testing.assert_array_equal(read_image(str(path)), astronaut)


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda p: p),
        (3, lambda p: p[::-1, ::-1]),
        (6, lambda p: np.rot90(p, -1)),
        (8, lambda p: np.rot90(p)),
        (2, lambda p: p[:, ::-1]),
    ],
)
def test_exif_orientation(astronaut, tmp_path, orientation, upright):
    jpeg = encoded(astronaut, ".jpg")
    stored = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    path = tmp_path / "phone.jpg"
    path.write_bytes(with_exif(jpeg, orientation))
    np.testing.assert_array_equal(read_image(path), upright(stored))


def test_alpha_is_kept(astronaut, tmp_path):
    image = cv2.cvtColor(astronaut, cv2.COLOR_BGR2BGRA)
    image[:, :, 3] = np.arange(300) % 256
    path = tmp_path / "alpha.png"
    path.write_bytes(encoded(image, ".png"))
    np.testing.assert_array_equal(read_image(path), image)


def test_alpha_and_orientation_together(astronaut, tmp_path):
    image = cv2.cvtColor(astronaut, cv2.COLOR_BGR2BGRA)
    image[:, :, 3] = np.arange(300) % 256
    png = encoded(image, ".png")
    tiff = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)
    chunk = b"eXIf" + tiff
    chunk = struct.pack(">I", len(tiff)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path = tmp_path / "alpha.png"
    path.write_bytes(png[:33] + chunk + png[33:])
    np.testing.assert_array_equal(read_image(path), np.rot90(image, -1))


def test_grey_16_bit_and_float(astronaut, tmp_path):
    grey = cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY)
    path = tmp_path / "grey.png"
    path.write_bytes(encoded(grey, ".png"))
    np.testing.assert_array_equal(read_image(path), np.repeat(grey[:, :, None], 3, axis=2))
    path = tmp_path / "deep.png"
    path.write_bytes(encoded(astronaut.astype(np.uint16) * 257, ".png"))
    np.testing.assert_array_equal(read_image(path), astronaut)
    path = tmp_path / "float.tiff"
    # 1 is "no compression": OpenCV's usual one for floating point is lossy.
    parameters = [cv2.IMWRITE_TIFF_COMPRESSION, 1]
    path.write_bytes(cv2.imencode(".tiff", astronaut.astype(np.float32) / 255, parameters)[1])
    np.testing.assert_array_equal(read_image(path), astronaut)


def test_missing_empty_folder_and_text(tmp_path):
    with pytest.raises(InputError, match=r"gone\.jpg: cannot be read: No such file"):
        read_image(tmp_path / "gone.jpg")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_image(tmp_path)
    for name, data, message in [
        ("empty.jpg", b"", "the file is empty"),
        ("text.jpg", b"these are words, not pixels\n" * 50, "not an image"),
        ("start.png", b"\x89PNG\r\n\x1a\n", "not an image"),
        ("start.jpg", b"\xff\xd8\xff\xe0", "not an image"),
    ]:
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(InputError, match=message) as caught:
            read_image(path)
        assert name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp", ".bmp"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.98])
def test_truncated(astronaut, tmp_path, extension, part, capfd):
    data = encoded(astronaut, extension)
    path = tmp_path / f"half{extension}"
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(InputError, match="half"):
        read_image(path)
    assert capfd.readouterr().err == ""


def test_trailing_bytes_do_no_harm(astronaut, tmp_path):
    for extension in (".jpg", ".png"):
        path = tmp_path / f"tail{extension}"
        path.write_bytes(encoded(astronaut, extension) + b"\0" * 5000)
        assert read_image(path).shape == astronaut.shape


def test_absurdly_large(tmp_path):
    header = struct.pack(">IIBBBBB", 60000, 50000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    png += struct.pack(">I", zlib.crc32(chunk)) + b"\0\0\0\0IEND\xaeB`\x82"
    path = tmp_path / "poster.png"
    path.write_bytes(png)
    with pytest.raises(InputError, match=r"poster\.png: too many pixels"):
        read_image(path)


def test_size_is_checked_before_pixels_are_decoded(tmp_path):
    """A header that claims 10 gigapixels costs neither time nor memory, in any format."""
    side = 100_000
    tags = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    tiff = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    for name, data in (("wide.tiff", tiff), ("wide.ppm", b"P6 100000 100000 255\n" + bytes(100))):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(InputError, match="too many pixels"):
            read_image(path)


def test_animations_give_their_first_frame_and_webp_is_turned_upright(astronaut, tmp_path):
    frames = [Image.fromarray(np.full((20, 30, 3), grey, np.uint8)) for grey in (50, 200)]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    assert (read_image(tmp_path / "two.gif") == 50).all()
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(astronaut[:, :, ::-1])
    image.save(tmp_path / "phone.webp", lossless=True, exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "phone.webp"), np.rot90(astronaut, -1))
