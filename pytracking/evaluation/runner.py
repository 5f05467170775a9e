"""Running a tracker over sequences: resumable, in one process or several, with one result file per sequence."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ltr.admin.errors import UsageError, UserError
from pytracking.evaluation.job import Done, Failure, Progress, run_job
from pytracking.evaluation.results import ResultStore
from pytracking.evaluation.run_facts import claim_folder
from pytracking.evaluation.sequence import Sequence
from pytracking.evaluation.track import FrameHook
from pytracking.evaluation.tracker_spec import TrackerSpec
from pytracking.evaluation.workers import Job, WorkerPool

logger = logging.getLogger(__name__)

_SAME_BOX = 1.0  # pixels: pytracking cuts the boxes in its files down to integers


@dataclass(frozen=True)
class RunSummary:
    """What became of a run.

    Attributes:
        done: Sequences tracked now, in the order they ended.
        skipped: Names of sequences that were complete before.
        failures: Sequences that failed; their boxes so far are kept.
    """

    done: tuple[Done, ...]
    skipped: tuple[str, ...]
    failures: tuple[Failure, ...]

    @property
    def fps(self) -> float | None:
        """Frames per second of the tracker alone over all frames tracked now; None if there are none."""
        seconds = sum(done.seconds for done in self.done)
        return sum(done.frames for done in self.done) / seconds if seconds > 0 else None


def run_dataset(
    sequences: Iterable[Sequence],
    spec: TrackerSpec,
    store: ResultStore,
    threads: int = 0,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    on_frame: Callable[[Sequence], FrameHook] | None = None,
) -> RunSummary:
    """Track sequences and write their results; those that have a complete result are skipped.

    With `threads` >= 1 every worker computes with one thread, so results do not depend on their number.
    Scripts that use it need the `if __name__ == "__main__":` guard of Python's multiprocessing.

    Args:
        sequences: What to track; names must be unique.
        spec: The tracker. It is built once per process.
        store: Where results are read and written.
        threads: 0 runs in this process with all of torch's threads; N starts N processes.
        on_progress: Gets every event, in this process.
        on_frame: For each sequence a hook called after every frame (drawing); only with `threads` = 0.

    Returns:
        What was done, skipped, and what failed: a failure of one sequence does not stop the others.

    Raises:
        UsageError: A negative number of threads, or hooks with several processes.
        UserError: The tracker cannot be built, results cannot be written, or the folder holds results of
            other settings or sequences. What is done stays.
    """
    if threads < 0:
        raise UsageError(f"threads must be 0 (this process) or the number of worker processes, got {threads}")
    if on_frame is not None and threads > 0:
        raise UsageError("frames can be watched in one process only: use --threads 0")
    report = on_progress or (lambda event: None)
    sequences = list(sequences)
    todo, skipped = _split(sequences, store)
    claim_folder(store, spec, sequences)
    for sequence in skipped:
        report(Progress("skipped", sequence.name, len(sequence)))
    jobs = [(sequence, _seed(spec, store, sequence)) for sequence in todo]
    outcomes = []
    try:
        for outcome in _outcomes(jobs, spec, store, threads, report, on_frame):
            _tell(outcome, todo, report)
            outcomes.append(outcome)
    except Exception:
        store.discard_if_empty()
        raise
    return RunSummary(
        tuple(outcome for outcome in outcomes if isinstance(outcome, Done)),
        tuple(sequence.name for sequence in skipped),
        tuple(outcome for outcome in outcomes if isinstance(outcome, Failure)),
    )


def _tell(outcome: Done | Failure, todo: list[Sequence], report: Callable[[Progress], None]) -> None:
    if isinstance(outcome, Done):
        report(Progress("done", outcome.sequence))
        return
    logger.error("%s: %s%s", outcome.sequence, outcome.message, outcome.trace and f"\n{outcome.trace}")
    length = next(len(sequence) for sequence in todo if sequence.name == outcome.sequence)
    report(Progress("failed", outcome.sequence, length - outcome.frames))


def _outcomes(
    jobs: list[Job],
    spec: TrackerSpec,
    store: ResultStore,
    threads: int,
    report: Callable[[Progress], None],
    on_frame: Callable[[Sequence], FrameHook] | None,
) -> Iterator[Done | Failure]:
    if not jobs:  # nothing to do is no reason to load a network
        return
    if threads == 0:
        tracker = spec.create()
        for sequence, seed in jobs:
            yield run_job(tracker, sequence, seed, store, report, on_frame and on_frame(sequence))
        return
    with WorkerPool(spec, store, threads, report) as pool:
        # The longest first: a long one started last would keep a single worker busy at the end.
        yield from pool.run(sorted(jobs, key=lambda job: len(job[0]), reverse=True))


def _seed(spec: TrackerSpec, store: ResultStore, sequence: Sequence) -> int:
    """The same for a sequence whatever runs before or beside it; 31 bits, as OpenCV's generator takes them."""
    key = f"{spec.seed}/{store.tracker}/{store.parameter}/{store.run_id}/{sequence.name}"
    return zlib.crc32(key.encode("utf-8")) & 0x7FFFFFFF


def _split(sequences: list[Sequence], store: ResultStore) -> tuple[list[Sequence], list[Sequence]]:
    """Sequences still to track, and those with a complete result."""
    _check_file_names(sequences, store)
    todo, complete = [], []
    for sequence in sequences:
        if store.is_complete(sequence.name, len(sequence)):
            _check_first_box(sequence, store)
            complete.append(sequence)
            continue
        if store.file(sequence.name).exists():
            logger.warning(
                "%s is not a whole result of %d frames: it is replaced",
                store.file(sequence.name),
                len(sequence),
            )
        todo.append(sequence)
    return todo, complete


def _check_file_names(sequences: list[Sequence], store: ResultStore) -> None:
    """Also refuses `car` beside `car_time`: the times of one would be the boxes of the other."""
    owners: dict[str, str] = {}
    for sequence in sequences:
        for suffix in ("", "_time", "_scores", ".partial"):
            file = store.file(sequence.name, suffix).name.lower()
            if file in owners:
                raise UserError(
                    f"sequences {owners[file]!r} and {sequence.name!r} would both write {file}: rename one"
                )
            owners[file] = sequence.name


def _check_first_box(sequence: Sequence, store: ResultStore) -> None:
    first = store.read(sequence.name).boxes[0]
    if np.abs(first - sequence.init_bbox()).max() > _SAME_BOX:
        raise UserError(
            f"{store.file(sequence.name)} starts at {first.tolist()}, sequence {sequence.name!r} of "
            f"data set {sequence.dataset!r} at {sequence.init_bbox()}: it belongs to another sequence of that "
            "name, or the ground truth has changed. Choose another --runid or --results, or remove that file"
        )
