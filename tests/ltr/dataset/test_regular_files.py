"""Regular files are read at once, irregular ones line by line: both ways must agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ltr.dataset import readers


@pytest.mark.parametrize("separator", [",", "\t", " ", ";", ", ", " ,\t"])
def test_both_ways_read_the_same(separator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = np.random.default_rng(0).uniform(-1e3, 1e3, (50, 4))
    boxes[7] = np.nan
    boxes[9, 2] = np.nan
    path = tmp_path / "boxes.txt"
    path.write_text("\n".join(separator.join(map(repr, row)) for row in boxes.tolist()) + "\n\n")
    quick = readers.read_boxes(path)
    monkeypatch.setattr(readers, "_regular", lambda lines: None)
    np.testing.assert_array_equal(quick, readers.read_boxes(path))
    boxes[9] = np.nan
    np.testing.assert_array_equal(quick, boxes)


@pytest.mark.parametrize("text", ["1\n2\nnan\n4\n", "1\n\n3\n", " 1 \n2,\n"])
def test_both_ways_read_the_same_column(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "times.txt"
    path.write_text(text)
    quick = readers.read_column(path)
    monkeypatch.setattr(readers, "_regular", lambda lines: None)
    np.testing.assert_array_equal(quick, readers.read_column(path))
    assert len(quick) == len(text.rstrip("\n").split("\n"))


@pytest.mark.filterwarnings("error")
def test_lines_of_separators_are_not_annotated(tmp_path: Path) -> None:
    (tmp_path / "boxes.txt").write_text(",,,\n1,2,3,4\n")
    np.testing.assert_array_equal(readers.read_boxes(tmp_path / "boxes.txt"), [[np.nan] * 4, [1, 2, 3, 4]])
