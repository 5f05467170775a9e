"""Result files: one row per frame, in the format pytracking's users and tools know. Torch-free.

`<root>/<tracker>/<param>[_NNN]/<sequence>.txt` holds `x<TAB>y<TAB>w<TAB>h` per frame,
`<sequence>_time.txt` seconds, `<sequence>_scores.txt` the tracker's scores, and `run.json` the facts of
the run. The file of boxes is written last, so where it exists the others are whole too.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ltr.admin.errors import UserError
from ltr.admin.files import atomic_write, writable_dir
from ltr.dataset.readers import read_boxes, read_column

_UNSAFE = re.compile(r"[/\\:\x00-\x1f]")


@dataclass(frozen=True)
class SequenceResult:
    """What a tracker made of one sequence.

    Attributes:
        boxes: (N, 4) float64 `[x, y, w, h]`, one row per frame.
        times: (N,) seconds per frame, or None where there is no such file.
        scores: (N,) scores, NaN where the tracker gave none, or None where there is no such file.
    """

    boxes: np.ndarray
    times: np.ndarray | None
    scores: np.ndarray | None


class ResultStore:
    """The results of one tracker with one parameter file (and one run id)."""

    def __init__(
        self, root: str | PathLike[str], tracker: str, parameter: str, run_id: int | None = None
    ) -> None:
        """Name the folder; nothing is created before the first write.

        Args:
            root: Results folder of all trackers.
            tracker: Tracker name.
            parameter: Parameter name; dotted names of third parties keep their dots.
            run_id: Repetition, appended as `_NNN`; None for the plain folder.

        Raises:
            UserError: A name that cannot be a folder's, or a negative run id.
        """
        if run_id is not None and run_id < 0:
            raise UserError(f"run id {run_id} is negative; expected 0, 1, 2, ...")
        suffix = "" if run_id is None else f"_{run_id:03d}"
        self.tracker, self.parameter, self.run_id = tracker, parameter, run_id
        self.folder = (
            Path(root) / safe_name(tracker, "tracker") / (safe_name(parameter, "parameter") + suffix)
        )

    def __repr__(self) -> str:
        return f"ResultStore({self.folder})"

    def file(self, sequence_name: str, suffix: str = "") -> Path:
        """Path of a result file: suffix "" for boxes, "_time", "_scores", ".partial"."""
        return self.folder / f"{safe_name(sequence_name, 'sequence')}{suffix}.txt"

    def is_complete(self, sequence_name: str, n_frames: int | None = None) -> bool:
        """Whether there is a readable result, of `n_frames` rows where that is given."""
        if not self.file(sequence_name).is_file():
            return False
        try:
            boxes = read_boxes(self.file(sequence_name))
        except UserError:
            return False
        return bool(np.isfinite(boxes).all()) and n_frames in (None, len(boxes))

    def write(
        self,
        sequence_name: str,
        boxes: np.ndarray,
        times: np.ndarray,
        scores: np.ndarray | None = None,
    ) -> Path:
        """Write a whole result; a partial one of an earlier failure is removed.

        Args:
            sequence_name: Name of the sequence.
            boxes: (N, 4) `[x, y, w, h]`.
            times: (N,) seconds.
            scores: (N,), NaN where there is none; None or all NaN: no file.

        Returns:
            Path of the file of boxes.

        Raises:
            UserError: The folder cannot be written to (no room, no rights).
        """
        writable_dir(self.folder)
        if scores is not None and not np.isnan(scores).all():
            self._write_rows(self.file(sequence_name, "_scores"), scores, "%.6f")
        else:
            self._remove(self.file(sequence_name, "_scores"))
        self._write_rows(self.file(sequence_name, "_time"), times, "%.6f")
        self._write_rows(self.file(sequence_name), boxes, "%.4f")
        self._remove(self.file(sequence_name, ".partial"))
        return self.file(sequence_name)

    def write_partial(self, sequence_name: str, boxes: np.ndarray) -> Path:
        """Keep the (M, 4) boxes found before a failure, where no one takes them for a whole result."""
        writable_dir(self.folder)
        return self._write_rows(self.file(sequence_name, ".partial"), boxes, "%.4f")

    def read(self, sequence_name: str) -> SequenceResult:
        """Read a result, of this framework or of pytracking (tabs or commas).

        Raises:
            UserError: There is none, or a file of it is broken.
        """
        path = self.file(sequence_name)
        if not path.is_file():
            raise UserError(
                f"no result of {self.tracker}:{self.parameter} for {sequence_name!r}: {path} is missing"
            )
        extra = [self.file(sequence_name, suffix) for suffix in ("_time", "_scores")]
        times, scores = (read_column(file) if file.is_file() else None for file in extra)
        return SequenceResult(read_boxes(path), times, scores)

    def write_run_facts(self, facts: Mapping[str, Any]) -> Path:
        """Write run.json (parameters, seed, versions, ...)."""
        path = writable_dir(self.folder) / "run.json"
        with atomic_write(path) as file:
            json.dump(facts, file, indent=1, default=str)
            file.write("\n")
        return path

    def read_run_facts(self) -> dict[str, Any] | None:
        """The facts of the run, None where there are none (results of pytracking) or they are unreadable."""
        try:
            facts = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return facts if isinstance(facts, dict) else None

    def discard_if_empty(self) -> None:
        """Remove run.json and the folder where no result was written, so that a false start leaves no trace."""
        if any(self.folder.glob("*.txt")):
            return
        with contextlib.suppress(OSError):  # not there, or other files in it
            (self.folder / "run.json").unlink(missing_ok=True)
            self.folder.rmdir()
            self.folder.parent.rmdir()

    @staticmethod
    def _write_rows(path: Path, rows: np.ndarray, number_format: str) -> Path:
        with atomic_write(path) as file:
            np.savetxt(file, np.asarray(rows, dtype=np.float64), fmt=number_format, delimiter="\t")
        return path

    @staticmethod
    def _remove(path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"{path} cannot be removed: {error.strerror or error}") from error


def safe_name(name: str, kind: str) -> str:
    """`name` if it can be part of a file name on every system.

    Raises:
        UserError: It is empty, or has path separators, colons or control characters, or is `..`.
    """
    if not name or name.strip(" .") == "" or _UNSAFE.search(name):
        raise UserError(
            f"{kind} name {name!r} cannot be used as a file name: no '/', '\\', ':' or '..', not empty"
        )
    return name
