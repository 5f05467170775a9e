"""Annotation files in every dialect of the benchmarks, and what is said about broken ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ltr.admin.errors import UserError
from ltr.dataset.readers import read_boxes, read_column, read_flags

BOXES = [[1.0, 2.0, 3.0, 4.0], [5.5, -6.0, 7.0, 8.25]]


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("utf-8"))
    return path


@pytest.mark.parametrize(
    "text",
    [
        "1,2,3,4\n5.5,-6,7,8.25\n",
        "1\t2\t3\t4\n5.5\t-6\t7\t8.25",
        "1 2 3 4\n5.5  -6   7 8.25 \n",
        "1; 2; 3; 4\n5.5, -6\t7 8.25\n",
        "1,2,3,4\r\n5.5,-6,7,8.25\r\n\r\n  \n",
        "\ufeff1,2,3,4,\n5.5,-6,7,8.25,\n",
        "1e0,2,3,4\n55e-1,-6,7,8.25\n",
    ],
)
def test_separators(tmp_path: Path, text: str) -> None:
    boxes = read_boxes(write(tmp_path / "gt.txt", text))
    assert boxes.dtype == np.float64
    np.testing.assert_array_equal(boxes, BOXES)


def test_polygons_become_enclosing_boxes(tmp_path: Path) -> None:
    path = write(tmp_path / "gt.txt", "291.827,203.603,396.382,264.289,442.173,185.397,337.618,124.711\n1,2,3,4\n")
    np.testing.assert_allclose(read_boxes(path), [[291.827, 124.711, 150.346, 139.578], [1, 2, 3, 4]])


def test_frames_without_annotation(tmp_path: Path) -> None:
    path = write(tmp_path / "gt.txt", "1,2,3,4\nNaN,NaN,NaN,NaN\n\nnan,2,3,4\n5,6,7,8\n")
    boxes = read_boxes(path)
    assert boxes.shape == (5, 4)
    assert np.isnan(boxes).all(axis=1).tolist() == [False, True, True, True, False]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2,3,4\nx,y,w,h\n", "line 2: 'x' is not a number"),
        ("frame 1: 1 2 3 4\n", "line 1: 'frame' is not a number"),
        ("1,2,3,4\n1,2,3\n", "line 2: expected 4 numbers.*found 3"),
        ("1,2,3,4,5,6\n", "line 1.*found 6"),
        ("1,,3,4\n", "line 1.*found 3"),
        ("1,2,inf,4\n", "line 1: 'inf' is not a finite"),
        ("", "is empty"),
        ("\n \n", "is empty"),
    ],
)
def test_broken_files_name_file_and_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UserError, match=f"groundtruth.txt.*{words}"):
        read_boxes(write(tmp_path / "groundtruth.txt", text))


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_boxes(tmp_path / "nowhere.txt")
    (tmp_path / "image.txt").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(UserError, match="not a text file"):
        read_boxes(tmp_path / "image.txt")
    with pytest.raises(UserError, match="cannot be read"):
        read_boxes(tmp_path)


def test_column(tmp_path: Path) -> None:
    path = write(tmp_path / "times.txt", "0.5\n\nnan\n2\n")
    np.testing.assert_array_equal(read_column(path), [0.5, np.nan, np.nan, 2.0])
    with pytest.raises(UserError, match="line 1: expected one number, found 2"):
        read_column(write(tmp_path / "boxes.txt", "1 2\n"))


@pytest.mark.data
@pytest.mark.parametrize("text", ["0,1,1,0", "0\n1\n1\n0\n", "0, 1,1\n0,\n\n"])
def test_flags(tmp_path: Path, text: str) -> None:
    (tmp_path / "flags.txt").write_text(text)
    assert read_flags(tmp_path / "flags.txt").tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    ("text", "words"),
    [("0\n2\n", "line 2: expected 0 or 1, found '2'"), ("0\n\n1", "line 2: expected 0 or 1, found a blank line"),
     ("0,1,0.5", "line 1: .* found '0.5'"), ("\n", "is empty")],
)  # fmt: skip
def test_broken_flags(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "flags.txt").write_text(text)
    with pytest.raises(UserError, match=rf"flags\.txt.*{words}"):
        read_flags(tmp_path / "flags.txt")


def test_real_files(shared_sequences: Path) -> None:
    boxes = read_boxes(shared_sequences / "Girl" / "groundtruth_raw.txt")  # tabs
    np.testing.assert_array_equal(boxes, read_boxes(shared_sequences / "Girl" / "groundtruth.txt"))  # commas
    polygons = read_boxes(shared_sequences / "vot15_bag" / "groundtruth_polygon.txt")
    np.testing.assert_allclose(polygons, read_boxes(shared_sequences / "vot15_bag" / "groundtruth.txt"), atol=2e-3)
