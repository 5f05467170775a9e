"""What a training leaves behind to look at: ``log.csv`` and, where it is installed, TensorBoard."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ltr.admin.errors import UserError
from ltr.admin.files import atomic_write

log = logging.getLogger(__name__)

_announced: set[str] = set()


class EpochLog:
    """``log.csv``: one line per epoch. The file is replaced as a whole, so it never ends in half a line.

    Args:
        path: The file; it may exist.
        epochs_done: Lines of later epochs are dropped: they come from after the state that training goes on
            from, and will be made again.
    """

    def __init__(self, path: Path, epochs_done: int) -> None:
        self.path = path
        self.rows = [row for row in read_log(path) if int(row["epoch"]) <= epochs_done] if path.exists() else []

    def append(self, row: Mapping[str, Any]) -> None:
        """Adds the line of an epoch; a figure that earlier lines do not have gets a new column."""
        self.rows.append({name: _text(value) for name, value in row.items()})
        columns = list(dict.fromkeys(name for line in self.rows for name in line))
        with atomic_write(self.path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)


def read_log(path: Path) -> list[dict[str, str]]:
    """Lines of a ``log.csv``, as text by column.

    Raises:
        UserError: The file cannot be read or is not such a log.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            int(row["epoch"])
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise UserError(f"{path} is not a training log (no column 'epoch' with whole numbers): move it away") from error
    return rows


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


class ScalarWriter:
    """Writes figures for TensorBoard, or nothing (with one line in the log) where it is not installed.

    Args:
        folder: Folder of the event files.
        step: First step to come; what an interrupted run wrote after it is hidden.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._writer: Any = None
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError:
            if "tensorboard" not in _announced:
                _announced.add("tensorboard")
                log.info("TensorBoard is not installed (pip install tensorboard): figures go to log.csv only")
            return
        self._try(lambda: SummaryWriter(str(folder), purge_step=step))

    def write(self, figures: Mapping[str, float], step: int) -> None:
        """Adds points to the curves ``figures`` at ``step``."""
        if self._writer is not None:
            self._try(lambda: self._add(self._writer, figures, step))

    def _add(self, writer: Any, figures: Mapping[str, float], step: int) -> Any:
        for name, value in figures.items():
            writer.add_scalar(name, value, step)
        writer.flush()
        return writer

    def _try(self, action: Callable[[], Any]) -> None:
        """A full disk ends the curves, not the training: what that needs is written elsewhere, with its own errors."""
        try:
            self._writer = action()
        except OSError as error:
            self._writer = None
            log.warning("TensorBoard's curves end here: %s; figures go to log.csv only", error.strerror or error)

    def close(self) -> None:
        """Ends the event file."""
        if self._writer is not None:
            self._try(self._writer.close)
