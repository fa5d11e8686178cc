"""Reading of images: any format, bit depth and orientation."""

from __future__ import annotations

import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from src.errors import InputError
from src.io.files import first_bytes
from thirdparty.quiet import quiet_stderr

LARGEST_IMAGE = 120_000_000  # pixels, 360 MB as BGR

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "GIF", "JPEG2000", "AVIF", "PPM", "SUN")
"""Formats that Pillow decodes here, not by the file's name but by its content."""

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""Of files that are looked for as images in a folder."""

TIFF_HEADERS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def flatten(image: np.ndarray) -> np.ndarray:
    """Blend an image (H, W, 3 or 4) uint8 BGR(A) over white where it is transparent."""
    if image.shape[2] == 3:
        return image
    alpha = image[:, :, 3:].astype(np.float32) / 255
    return np.round(image[:, :, :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)


def read_image(path: str | Path) -> np.ndarray:
    """Read an image file, upright.

    Greyscale becomes colour, 16-bit and floating-point images (1.0 is white) become 8-bit, the
    EXIF orientation is applied. Of an animation the first frame is read.

    Returns:
        (H, W, 3) uint8 BGR, or (H, W, 4) BGRA if the file has an alpha channel.

    Raises:
        InputError: the file is missing, empty, truncated, no image, or has too many pixels.
    """
    decode = _decode_tiff if first_bytes(path) in TIFF_HEADERS else _decode
    try:
        image = decode(Path(path))
    except Image.DecompressionBombError:
        raise InputError(
            f"{path}: too many pixels (at most {LARGEST_IMAGE // 1_000_000} megapixels), please "
            "scale the image down"
        ) from None
    except UnidentifiedImageError:
        raise InputError(f"{path}: not an image, or a damaged one") from None
    except Exception as error:  # damaged bytes can raise anything
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"{path}: the image is truncated or damaged ({reason})") from None
    return np.ascontiguousarray(image)


def _decode(path: Path) -> np.ndarray:
    """Decode any of `FORMATS` to BGR or BGRA."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about metadata and large images
        with Image.open(path, formats=FORMATS) as image:
            _check_size(*image.size)
            image.load()
            try:
                upright = ImageOps.exif_transpose(image)
            except Exception:  # damaged metadata do not make an image useless
                upright = image
        if upright.mode.startswith(("I", "F")):
            return _as_8_bit_bgr(np.asarray(upright))
        if upright.has_transparency_data:
            return np.asarray(upright.convert("RGBA"))[:, :, [2, 1, 0, 3]]
        return np.asarray(upright.convert("RGB"))[:, :, ::-1]


def _decode_tiff(path: Path) -> np.ndarray:
    """Decode a TIFF with OpenCV, which knows more of its kinds than Pillow and turns it upright."""
    with path.open("rb") as file:
        header = file.read(16)  # longer in BigTIFF
        tags = TiffImagePlugin.ImageFileDirectory_v2(header if b"+" in header[:4] else header[:8])
        file.seek(tags.next)
        tags.load(file)
    _check_size(int(tags[TiffImagePlugin.IMAGEWIDTH]), int(tags[TiffImagePlugin.IMAGELENGTH]))
    with quiet_stderr():
        image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise UnidentifiedImageError
    return _as_8_bit_bgr(image)


def _check_size(width: int, height: int) -> None:
    if width * height > LARGEST_IMAGE:
        raise Image.DecompressionBombError


def _as_8_bit_bgr(image: np.ndarray) -> np.ndarray:
    """Convert grey (H, W) or BGR(A) of any depth to uint8 BGR(A)."""
    if image.dtype.kind == "f":
        image = np.nan_to_num(image, nan=0.0, posinf=1.0, neginf=0.0)
        image = np.round(np.clip(image, 0.0, 1.0) * 255.0)
    elif image.dtype != np.uint8:  # 16 bits, which Pillow may hold in 32
        image = np.round(np.clip(image, 0, 65535) / np.float32(257))
    image = image.astype(np.uint8)
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image
