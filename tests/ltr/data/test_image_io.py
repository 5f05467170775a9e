"""Images of every kind come out as (H, W, 3) uint8 RGB, and files that are no images are named."""

from __future__ import annotations

import logging
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pytest

from ltr.admin.errors import UserError
from ltr.data import image_io
from ltr.data.image_io import as_rgb_uint8, list_images, read_image

RED_GREEN_BLUE = (200, 100, 50)


@pytest.fixture
def rgb() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def test_png_is_read_in_rgb_order(tmp_path: Path, rgb: np.ndarray) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), rgb[..., ::-1])
    image = read_image(tmp_path / "a.png")
    assert image.dtype == np.uint8 and image.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(image, rgb)


def test_older_opencv_without_the_rgb_flag_gives_the_same(
    tmp_path: Path, rgb: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), rgb[..., ::-1])
    monkeypatch.setattr(image_io, "_COLOR_RGB", None)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), rgb)


def test_grey_alpha_and_16_bits_from_disk(tmp_path: Path, rgb: np.ndarray) -> None:
    grey = rgb[..., 0]
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.stack([grey] * 3, axis=-1))

    alpha = np.dstack([rgb[..., ::-1], grey])
    cv2.imwrite(str(tmp_path / "alpha.png"), alpha)
    np.testing.assert_array_equal(read_image(tmp_path / "alpha.png"), rgb)

    deep = rgb.astype(np.uint16) * 256 + 77
    cv2.imwrite(str(tmp_path / "deep.png"), deep[..., ::-1])
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png"), rgb)
    np.testing.assert_array_equal(as_rgb_uint8(deep), rgb)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"these are not pixels", "cannot be decoded"),
        (b"\x89PNG\r\n\x1a\nbroken", "cannot be decoded"),
    ],
)
def test_unreadable_files_are_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "0007.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=f"0007.jpg.*{words}"):
        read_image(path)


def test_a_folder_in_place_of_an_image(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_image(tmp_path)


def test_truncated_jpeg_is_an_error_and_not_half_grey(tmp_path: Path, rgb: np.ndarray) -> None:
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), cv2.resize(rgb, (300, 200)))
    whole = path.read_bytes()
    assert read_image(path).shape == (200, 300, 3)
    path.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(UserError, match="truncated"):
        read_image(path)
    path.write_bytes(whole + b"\0" * 100)  # some cameras pad their files
    assert read_image(path).shape == (200, 300, 3)


def test_jpeg4py_falls_back_with_one_line(
    tmp_path: Path, rgb: np.ndarray, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), rgb)
    monkeypatch.setitem(sys.modules, "jpeg4py", None)  # importing it fails
    image_io._jpeg4py.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            np.testing.assert_array_equal(read_image(path, backend="jpeg4py"), read_image(path))
    image_io._jpeg4py.cache_clear()
    assert sum("jpeg4py" in record.message for record in caplog.records) == 1


def test_jpeg4py_is_used_where_it_is_installed(
    tmp_path: Path, rgb: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), rgb)

    class Decoder:
        def __init__(self, data: np.ndarray) -> None:
            assert data.dtype == np.uint8

        def decode(self) -> np.ndarray:
            return np.full((2, 2, 3), 9, np.uint8)

    monkeypatch.setitem(sys.modules, "jpeg4py", types.SimpleNamespace(JPEG=Decoder))
    image_io._jpeg4py.cache_clear()
    assert read_image(path, backend="jpeg4py").tolist() == np.full((2, 2, 3), 9).tolist()
    image_io._jpeg4py.cache_clear()


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3), (4, 5, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_arrays_of_all_shapes(shape: tuple[int, ...], dtype: type) -> None:
    image = as_rgb_uint8(np.full(shape, 7 * (256 if dtype is np.uint16 else 1), dtype))
    assert image.shape == (4, 5, 3) and image.dtype == np.uint8 and (image == 7).all()


def test_sound_arrays_are_not_copied_and_views_made_contiguous(rgb: np.ndarray) -> None:
    assert as_rgb_uint8(rgb) is rgb
    swapped = as_rgb_uint8(rgb[..., ::-1])
    assert swapped.flags["C_CONTIGUOUS"]  # torch takes no negative strides
    np.testing.assert_array_equal(swapped[..., 0], rgb[..., 2])


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 5, 3), np.float32), "float32"),
        (np.zeros((4, 5, 3), bool), "bool"),
        (np.zeros((3, 4, 5), np.uint8), r"\(3, 4, 5\)"),
        (np.zeros((0, 5, 3), np.uint8), "empty"),
        ([[1, 2]], "list"),
        (None, "NoneType"),
    ],
)
def test_unfit_arrays_are_named(array: object, words: str) -> None:
    with pytest.raises(UserError, match=f"frame 12.*{words}"):
        as_rgb_uint8(array, "frame 12")


def test_images_are_listed_in_natural_order_without_hidden_files(tmp_path: Path) -> None:
    names = ["10.jpg", "2.JPG", "1.png", "._1.png", "notes.txt", "0002.jpg"]
    for name in names:
        (tmp_path / name).touch()
    assert [path.name for path in list_images(tmp_path)] == ["1.png", "0002.jpg", "2.JPG", "10.jpg"]
    assert list_images(tmp_path / "nowhere") == []
