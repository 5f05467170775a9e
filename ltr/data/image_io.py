"""Reading images as (H, W, 3) uint8 RGB arrays, whatever the file holds. Torch-free."""

from __future__ import annotations

import functools
import logging
import re
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from ltr.admin.errors import UserError

logger = logging.getLogger(__name__)

Backend = Literal["cv2", "jpeg4py"]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")

_JPEG_START = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
# Older OpenCV 4 has no flag for RGB order; there the channels are swapped after decoding.
_COLOR_RGB: int | None = getattr(cv2, "IMREAD_COLOR_RGB", None)


def read_image(path: str | PathLike[str], backend: Backend = "cv2") -> np.ndarray:
    """Read an image file.

    Grey images are repeated over three channels, an alpha channel is dropped, 16-bit images are
    reduced to 8 bits (their upper byte, or rounded, as the format's reader in OpenCV does).

    Args:
        path: Any format OpenCV reads (JPEG, PNG, BMP, TIFF, WebP, ...).
        backend: "cv2" obeys the EXIF orientation of photos. "jpeg4py" decodes JPEG files with
            libjpeg-turbo through the optional package of that name (it ignores EXIF); where it is not
            installed, and for other formats, "cv2" is used.

    Returns:
        (H, W, 3) uint8 RGB, contiguous.

    Raises:
        UserError: The file is missing, empty, truncated, or not an image.
    """
    path = Path(path)
    data = _read_bytes(path)
    if data.startswith(_JPEG_START):
        # libjpeg fills the missing part of a truncated file with grey and goes on: a tracker would
        # then be judged on frames that nobody recorded.
        if data.rfind(_JPEG_END) < 0:
            raise UserError(
                f"image {path} is truncated ({len(data)} bytes, no end-of-image marker); restore the file"
            )
        if backend == "jpeg4py" and (decoder := _jpeg4py()) is not None:
            return _decode_jpeg4py(decoder, data, path)
    return _decode_cv2(data, path)


def as_rgb_uint8(array: Any, what: str = "image") -> np.ndarray:
    """Bring an image array to (H, W, 3) uint8 RGB.

    Args:
        array: (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA; uint8, or uint16 of which the upper
            8 bits are kept. Channels must already be in RGB order (OpenCV captures give BGR).
        what: How to call the image in an error message, e.g. "frame 12 of Girl".

    Returns:
        (H, W, 3) uint8, C-contiguous; the same array where it already has that form.

    Raises:
        UserError: Not an array, an empty one, another type (floats, booleans) or shape.
    """
    if not isinstance(array, np.ndarray):
        raise UserError(f"{what}: expected a numpy array (H, W, 3) uint8 RGB, got {type(array).__name__}")
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    if array.dtype != np.uint8:
        raise UserError(
            f"{what}: expected uint8 (or uint16) values in 0..255, got {array.dtype}; "
            "convert first, e.g. (image * 255).round().astype('uint8') for floats in 0..1"
        )
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise UserError(
            f"{what}: expected shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), got {array.shape}"
        )
    if array.size == 0:
        raise UserError(f"{what}: the image is empty, its shape is {array.shape}")
    if array.shape[2] == 1:
        array = np.repeat(array, 3, axis=2)
    elif array.shape[2] == 4:
        array = array[:, :, :3]
    return np.ascontiguousarray(array)


def list_images(folder: str | PathLike[str]) -> list[Path]:
    """Image files of a folder in natural order (2.jpg before 10.jpg); empty where there is no such folder.

    Hidden files are left out: macOS leaves `._0001.jpg` beside `0001.jpg` in archives.

    Raises:
        UserError: The folder cannot be read.
    """
    return [path for path in visible_children(folder) if path.suffix.lower() in IMAGE_SUFFIXES]


def visible_children(folder: str | PathLike[str]) -> list[Path]:
    """What a folder holds, in natural order, without hidden files; empty where there is no such folder.

    Raises:
        UserError: The folder cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return []
    try:
        return sorted(
            (child for child in folder.iterdir() if not child.name.startswith(".")), key=_natural_key
        )
    except OSError as error:
        raise UserError(f"folder {folder} cannot be read: {error.strerror or error}") from error


def _natural_key(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Numbers compare as numbers; names that differ in leading zeros or case only, by spelling."""
    parts = re.split(r"([0-9]+)", path.name.lower())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part], path.name


def _read_bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"image {path} does not exist") from None
    except OSError as error:
        raise UserError(f"image {path} cannot be read: {error.strerror or error}") from error
    if not data:
        raise UserError(f"image {path} is empty (0 bytes); restore the file")
    return data


def _decode_cv2(data: bytes, path: Path) -> np.ndarray:
    flag = cv2.IMREAD_COLOR if _COLOR_RGB is None else _COLOR_RGB
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error as error:
        raise UserError(f"image {path} cannot be decoded: {error}") from error
    if image is None:
        raise UserError(f"image {path} cannot be decoded: it is damaged, or not an image OpenCV knows")
    if _COLOR_RGB is None:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return np.asarray(image)


@functools.lru_cache(maxsize=1)
def _jpeg4py() -> Any | None:
    """The jpeg4py module, or None with one line in the log for the whole process."""
    try:
        import jpeg4py
    except (ImportError, OSError) as error:  # OSError: the package is there, libturbojpeg is not
        logger.warning("jpeg4py is not usable (%s): images are read with OpenCV", error)
        return None
    return jpeg4py


def _decode_jpeg4py(jpeg4py: Any, data: bytes, path: Path) -> np.ndarray:
    try:
        image = jpeg4py.JPEG(np.frombuffer(data, np.uint8)).decode()
    except (
        Exception
    ) as error:  # the package raises its own types, and grey or CMYK files are not its strength
        logger.info("jpeg4py cannot decode %s (%s): read with OpenCV", path, error)
        return _decode_cv2(data, path)
    return as_rgb_uint8(image, f"image {path}")
