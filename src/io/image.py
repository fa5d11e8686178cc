"""Reading pictures as they come: any format, depth and orientation."""

import struct
from pathlib import Path

import cv2
import numpy as np

from src.errors import InputError
from thirdparty.quiet import quiet_stderr

# Pixels. A hundred megapixels are 300 MB as BGR; whole rooms of a gigabyte are not worth one face.
LARGEST_PICTURE = 120_000_000

_JPEG_START = b"\xff\xd8\xff"
_JPEG_SCAN = b"\xff\xda"
_JPEG_END = b"\xff\xd9"
_JPEG_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PNG_START = b"\x89PNG\r\n\x1a\n"


def flatten(picture: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3 or 4) uint8 as BGR, over white where it is transparent."""
    if picture.shape[2] == 3:
        return picture
    share = picture[:, :, 3:].astype(np.float32) / 255
    return np.round(picture[:, :, :3] * share + 255 * (1 - share)).astype(np.uint8)


def read_picture(path: str | Path) -> np.ndarray:
    """The picture in a file, upright.

    Any format that OpenCV decodes. Greyscale becomes colour, 16-bit and floating-point pictures
    (1.0 is white) become 8-bit, the EXIF orientation is applied.

    Returns:
        (H, W, 3) uint8 BGR, or (H, W, 4) BGRA where the file has an alpha channel.

    Raises:
        InputError: the file is missing, empty, truncated, no picture or absurdly large.
    """
    data = _read_bytes(Path(path))
    if _is_truncated(data):
        raise InputError(f"{path}: the picture is truncated, the end of the file is missing")
    width, height = _stated_size(data)
    if width * height > LARGEST_PICTURE:
        raise _too_large(path, width, height)

    encoded = np.frombuffer(data, np.uint8)
    try:
        with quiet_stderr():
            picture = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
            # Only this mode turns the picture upright, and it drops alpha.
            upright = cv2.imdecode(encoded, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error as problem:
        reason = (problem.err or "").strip() or "OpenCV refuses it"
        raise InputError(f"{path}: the picture cannot be decoded ({reason})") from problem
    if picture is None or upright is None:
        raise InputError(f"{path}: not a picture, or a damaged one")
    if picture.shape[0] * picture.shape[1] > LARGEST_PICTURE:
        raise _too_large(path, picture.shape[1], picture.shape[0])

    has_alpha = picture.ndim == 3 and picture.shape[2] == 4
    picture = _turned_like(picture, upright) if has_alpha else upright
    picture = _as_8_bit(picture, path)
    if picture.ndim == 2 or picture.shape[2] == 1:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    return np.ascontiguousarray(picture)


def _read_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise InputError(f"{path}: this is a folder, not a picture")
    try:
        data = path.read_bytes()
    except FileNotFoundError as problem:
        raise InputError(f"{path}: no such picture") from problem
    except OSError as problem:
        raise InputError(f"{path}: cannot be read ({problem.strerror})") from problem
    if not data:
        raise InputError(f"{path}: the file is empty")
    return data


def _is_truncated(data: bytes) -> bool:
    """Whether a JPEG, PNG or WebP stops early; OpenCV would fill the rest with grey."""
    if data.startswith(_JPEG_START):
        # These two bytes cannot occur inside a scan, and a thumbnail's come before the last scan.
        return data.rfind(_JPEG_END) < data.rfind(_JPEG_SCAN)
    if data.startswith(_PNG_START):
        return b"IEND" not in data[-1024:] and b"IEND\xaeB`\x82" not in data
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    return False


def _stated_size(data: bytes) -> tuple[int, int]:
    """Width and height from the header of a JPEG or PNG, not decoded; else (0, 0)."""
    if data.startswith(_PNG_START) and len(data) >= 24:
        return struct.unpack(">II", data[16:24])
    if data.startswith(_JPEG_START):
        at = 2
        while at + 9 <= len(data) and data[at] == 0xFF:
            marker = data[at + 1]
            if marker in _JPEG_FRAME_MARKERS:
                height, width = struct.unpack(">HH", data[at + 5 : at + 9])
                return width, height
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 0, 0


def _too_large(path: str | Path, width: int, height: int) -> InputError:
    return InputError(
        f"{path}: {width} x {height} pixels are too many "
        f"(at most {LARGEST_PICTURE // 1_000_000} megapixels), please scale the picture down"
    )


def _turned_like(picture: np.ndarray, upright: np.ndarray) -> np.ndarray:
    """A BGRA picture turned or mirrored into the orientation of its upright BGR twin."""
    colour = picture[:, :, :3]
    for mirrored in (False, True):
        for quarter_turns in range(4):
            candidate = np.rot90(colour[:, ::-1] if mirrored else colour, quarter_turns)
            if candidate.shape == upright.shape and np.array_equal(candidate, upright):
                whole = picture[:, ::-1] if mirrored else picture
                return np.rot90(whole, quarter_turns)
    return picture


def _as_8_bit(picture: np.ndarray, path: str | Path) -> np.ndarray:
    if picture.dtype == np.uint8:
        return picture
    if picture.dtype == np.uint16:
        return np.round(picture / np.float32(257)).astype(np.uint8)
    if picture.dtype in (np.float32, np.float64):
        shades = np.nan_to_num(picture, nan=0.0, posinf=1.0, neginf=0.0)
        return np.round(np.clip(shades, 0.0, 1.0) * 255.0).astype(np.uint8)
    raise InputError(f"{path}: pictures of {picture.dtype} samples are not supported")
