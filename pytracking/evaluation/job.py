"""The work on one sequence, in whatever process: track, write the result or keep the partial one, report."""

from __future__ import annotations

import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ltr.admin.errors import UserError
from pytracking.evaluation.results import ResultStore
from pytracking.evaluation.sequence import Sequence
from pytracking.evaluation.track import FrameHook, Recording, RunnableTracker, TrackedFrame, track_sequence

_REPORT_EVERY = 0.2  # seconds between progress events of a sequence


@dataclass(frozen=True)
class Progress:
    """An event of a run.

    Attributes:
        kind: "skipped" (complete before), "frames" (some more are tracked), "done", "failed".
        sequence: Name of the sequence.
        frames: Frames since the sequence's last event; those of the whole sequence for "skipped", those
            that were not tracked for "failed".
        seconds: What the tracker took for them.
    """

    kind: Literal["skipped", "frames", "done", "failed"]
    sequence: str
    frames: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Done:
    """A sequence that was tracked to its end.

    Attributes:
        sequence: Its name.
        frames: Number of frames.
        seconds: What the tracker took for them, reading images not included.
    """

    sequence: str
    frames: int
    seconds: float


@dataclass(frozen=True)
class Failure:
    """A sequence that was not tracked to its end.

    Attributes:
        sequence: Its name.
        frames: Number of frames that were tracked before; their boxes are in `<sequence>.partial.txt`.
        message: What went wrong.
        trace: The traceback, empty for errors of the input, whose message says all.
    """

    sequence: str
    frames: int
    message: str
    trace: str = ""


class StorageError(UserError):
    """Results cannot be written: going on with other sequences would be work for nothing."""


def run_job(
    tracker: RunnableTracker,
    sequence: Sequence,
    seed: int,
    store: ResultStore,
    report: Callable[[Progress], None],
    on_frame: FrameHook | None = None,
) -> Done | Failure:
    """Track a sequence and write its result.

    Args:
        tracker: Built once, used for many sequences.
        sequence: What to track.
        seed: The sequence's seed.
        store: Where the result goes.
        report: Gets "frames" events, at most a few per second.
        on_frame: Passed on to `track_sequence`.

    Returns:
        Done or, whatever the tracker or the input did, Failure.

    Raises:
        StorageError: The result cannot be written; where it was saved instead is in the message.
        KeyboardInterrupt: As it comes; the boxes so far are kept as for a failure.
    """
    recording = Recording(len(sequence))
    reporter = _Reporter(sequence.name, recording, report, on_frame)
    try:
        track_sequence(tracker, sequence, seed, recording, reporter)
    except Exception as error:  # a plugin may fail in any way; it must cost this sequence only
        _keep_partial(store, sequence, recording)
        if isinstance(error, UserError):
            return Failure(sequence.name, recording.count, str(error))
        message = f"frame {recording.count}: {type(error).__name__}: {error}"
        return Failure(sequence.name, recording.count, message, traceback.format_exc())
    except KeyboardInterrupt:
        _keep_partial(store, sequence, recording)
        raise
    _write(store, sequence, recording)
    reporter.flush()
    return Done(sequence.name, recording.count, float(recording.times.sum()))


class _Reporter:
    """Turns frames into progress events, not more than a few per second."""

    def __init__(
        self, name: str, recording: Recording, report: Callable[[Progress], None], on_frame: FrameHook | None
    ) -> None:
        self._name, self._recording, self._report, self._on_frame = name, recording, report, on_frame
        self._reported = 0
        self._last = time.monotonic()

    def __call__(self, frame: TrackedFrame) -> None:
        if self._on_frame is not None:
            self._on_frame(frame)
        if time.monotonic() - self._last >= _REPORT_EVERY:
            self.flush()

    def flush(self) -> None:
        self._last = time.monotonic()
        count = self._recording.count
        if count > self._reported:
            seconds = float(self._recording.times[self._reported :].sum())
            self._report(Progress("frames", self._name, count - self._reported, seconds))
            self._reported = count


def _keep_partial(store: ResultStore, sequence: Sequence, recording: Recording) -> None:
    if recording.count:
        try:
            store.write_partial(sequence.name, recording.boxes)
        except UserError as error:
            raise StorageError(str(error)) from error


def _write(store: ResultStore, sequence: Sequence, recording: Recording) -> None:
    try:
        store.write(sequence.name, recording.boxes, recording.times, recording.scores)
    except UserError as error:
        raise StorageError(f"{error}. {_rescue(store, sequence, recording)}") from error


def _rescue(store: ResultStore, sequence: Sequence, recording: Recording) -> str:
    """Save a result that its folder does not take elsewhere; what became of it, in words."""
    try:
        root = Path(tempfile.mkdtemp(prefix="pytracking-results-"))
        elsewhere = ResultStore(root, store.tracker, store.parameter, store.run_id)
        path = elsewhere.write(sequence.name, recording.boxes, recording.times, recording.scores)
    except (OSError, UserError) as error:
        return f"The result of {sequence.name!r} is lost: {error}"
    return f"The result of {sequence.name!r} was saved as {path}: copy it and the files beside it"
