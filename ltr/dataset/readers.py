"""Reading annotation files as tracking data sets write them. Torch-free; shared with evaluation."""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path

import numpy as np

from ltr.admin.errors import UserError

_SEPARATORS = re.compile(r"[,;\s]+")
_TO_BLANKS = str.maketrans(",;\t", "   ")


def read_boxes(path: str | PathLike[str]) -> np.ndarray:
    """Read one box per line.

    Values are separated by commas, tabs, blanks or semicolons, also mixed. A line holds `x y w h`, or
    the four corners `x1 y1 ... x4 y4` of a polygon (VOT), of which the enclosing box is taken
    (w = max - min). A line with NaN, or a blank line between others, is a frame without annotation;
    blank lines at the end are ignored.

    Args:
        path: The text file.

    Returns:
        (N, 4) float64 boxes `[x, y, w, h]` with the file's own origin; NaN where not annotated.

    Raises:
        UserError: The file is missing or empty, or a line is not 4 or 8 numbers (the line is named).
    """
    lines = _read_lines(Path(path))
    table = _regular(lines)
    if table is not None and table.shape[1] == 4:
        table[np.isnan(table).any(axis=1)] = np.nan
        return table
    rows = [_numbers(line, Path(path), number) for number, line in enumerate(lines, start=1)]
    boxes = np.full((len(rows), 4), np.nan)
    for number, values in enumerate(rows):
        if len(values) == 4:
            boxes[number] = values
        elif len(values) == 8:
            corners = np.reshape(values, (4, 2))
            low, high = corners.min(axis=0), corners.max(axis=0)
            boxes[number] = (*low, *(high - low))
        elif values:
            raise UserError(
                f"{path}, line {number + 1}: expected 4 numbers (x, y, w, h) or 8 (a polygon's corners), "
                f"found {len(values)}"
            )
    boxes[np.isnan(boxes).any(axis=1)] = np.nan
    return boxes


def read_column(path: str | PathLike[str]) -> np.ndarray:
    """Read one number per line (times, scores).

    Args:
        path: The text file. Blank lines between others and NaN give NaN.

    Returns:
        (N,) float64.

    Raises:
        UserError: The file is missing or empty, or a line is not one number (the line is named).
    """
    lines = _read_lines(Path(path))
    table = _regular(lines)
    if table is not None and table.shape[1] == 1:
        return table[:, 0]
    rows = [_numbers(line, Path(path), number) for number, line in enumerate(lines, start=1)]
    for number, values in enumerate(rows):
        if len(values) > 1:
            raise UserError(f"{path}, line {number + 1}: expected one number, found {len(values)}")
    return np.array([values[0] if values else np.nan for values in rows], dtype=np.float64)


def read_flags(path: str | PathLike[str]) -> np.ndarray:
    """Read a flag per frame, in one line (LaSOT) or one per line (GOT-10k).

    Args:
        path: The text file of zeros and ones.

    Returns:
        (N,) bool.

    Raises:
        UserError: The file is missing or empty, or holds anything else (the line is named).
    """
    flags: list[bool] = []
    for number, line in enumerate(_read_lines(Path(path)), start=1):
        words = [word for word in _SEPARATORS.split(line) if word]
        wrong = next((word for word in words if word not in ("0", "1")), None)
        if wrong is not None or not words:
            found = "a blank line" if wrong is None else repr(wrong)
            raise UserError(f"{path}, line {number}: expected 0 or 1, found {found}")
        flags += [word == "1" for word in words]
    return np.array(flags, dtype=bool)


def _read_lines(path: Path) -> list[str]:
    """The lines of a text file that is not empty; blank lines at its end are dropped."""
    try:
        # utf-8-sig: a byte-order mark, as some editors put it, is not part of the first number
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise UserError(f"annotation file {path} does not exist") from None
    except UnicodeDecodeError:
        raise UserError(f"annotation file {path} is not a text file") from None
    except OSError as error:
        raise UserError(f"annotation file {path} cannot be read: {error.strerror or error}") from error
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise UserError(f"annotation file {path} is empty")
    return lines


def _regular(lines: list[str]) -> np.ndarray | None:
    """The table of a file with as many finite numbers or NaN in every line, as nearly all are.

    Eight times as fast as reading line by line, which is left to the other files: it finds out what is wrong.
    """
    if not lines[0].translate(_TO_BLANKS).strip():  # loadtxt warns about what has no numbers at all
        return None
    try:
        table = np.loadtxt([line.translate(_TO_BLANKS) for line in lines], comments=None, ndmin=2)
    except ValueError:
        return None
    # Blank lines are skipped by loadtxt, but mean frames without annotation.
    return table if len(table) == len(lines) and not np.isinf(table).any() else None


def _numbers(line: str, path: Path, number: int) -> list[float]:
    values = []
    for word in _SEPARATORS.split(line.strip(" \t\r,;")):
        if not word:
            continue
        try:
            value = float(word)
        except ValueError:
            raise UserError(f"{path}, line {number}: {word!r} is not a number") from None
        if np.isinf(value):
            raise UserError(f"{path}, line {number}: {word!r} is not a finite number")
        values.append(value)
    return values
