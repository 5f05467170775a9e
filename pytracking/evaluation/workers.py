"""Worker processes that each build one tracker and take one sequence after the other.

`multiprocessing.Pool` waits for ever when a worker is killed, and the standard executor gives up every
sequence that was waiting. Here the death of a worker costs the sequence it was at work on, and another
worker takes its place.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType

import cv2

from ltr.admin.errors import UserError
from pytracking.evaluation.job import Done, Failure, Progress, run_job
from pytracking.evaluation.results import ResultStore
from pytracking.evaluation.sequence import Sequence
from pytracking.evaluation.tracker_spec import TrackerSpec

Job = tuple[Sequence, int]  # and its seed

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_PATIENCE = 5.0  # seconds a worker gets to end by itself


@dataclass(frozen=True)
class _Ready:
    """The worker's tracker is built; it waits for a job."""


@dataclass(frozen=True)
class _Fatal:
    """The worker cannot go on, and no other could."""

    error: UserError


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    job: Job | None = None
    ready: bool = False


class WorkerPool:
    """Runs jobs in spawned processes; leaves none behind when its `with` block ends."""

    def __init__(
        self, spec: TrackerSpec, store: ResultStore, n_workers: int, report: Callable[[Progress], None]
    ) -> None:
        """Nothing is started yet.

        Args:
            spec: Recipe of the tracker, built once per worker.
            store: Where the workers write results.
            n_workers: Number of processes, at least 1; each computes with one thread.
            report: Gets the workers' progress events.
        """
        self._spec, self._store, self._n_workers, self._report = spec, store, n_workers, report
        self._workers: list[_Worker] = []
        self._todo: deque[Job] = deque()

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.process.terminate()
        while self._workers:
            self._stop(self._workers[0])

    def run(self, jobs: Iterable[Job]) -> Iterator[Done | Failure]:
        """Run the jobs, started in the order given; yields their outcomes as they end.

        Raises:
            UserError: The tracker cannot be built, or results cannot be written; what is done stays.
        """
        self._todo.extend(jobs)
        for _ in range(min(self._n_workers, len(self._todo))):
            self._start()
        while self._workers:
            by_connection = {worker.connection: worker for worker in self._workers}
            for connection in wait(list(by_connection)):
                outcome = self._serve(by_connection[connection])  # type: ignore[index]
                if outcome is not None:
                    yield outcome

    def _serve(self, worker: _Worker) -> Done | Failure | None:
        """Take one message of a worker; the outcome of its job, if that is what it says."""
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):  # the other end is closed: the process is gone
            return self._bury(worker)
        if isinstance(message, Progress):
            self._report(message)
            return None
        if isinstance(message, _Fatal):
            raise message.error
        worker.ready, worker.job = True, None
        self._give_job(worker)
        return message if isinstance(message, (Done, Failure)) else None

    def _give_job(self, worker: _Worker) -> None:
        if not self._todo:
            self._stop(worker)
            return
        worker.job = self._todo.popleft()
        try:
            worker.connection.send(worker.job)
        except OSError:  # it died while idle; the job is for its successor
            self._todo.appendleft(worker.job)
            worker.job = None

    def _bury(self, worker: _Worker) -> Failure | None:
        self._stop(worker)
        end = f"the worker process ended unexpectedly ({_exit_reason(worker.process.exitcode)})"
        if not worker.ready:
            raise UserError(f"{end} while it built tracker {self._spec.name!r}; try --threads 0 to see why")
        if self._todo:
            self._start()
        return None if worker.job is None else Failure(worker.job[0].name, 0, end)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # a forked CUDA or OpenMP state cannot be used
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(self._spec, self._store, theirs), daemon=True)
        with _one_thread_each():
            process.start()
        theirs.close()  # the worker has its own; with ours open its death would go unnoticed
        self._workers.append(_Worker(process, ours))

    def _stop(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.connection.close()  # an idle worker ends when it reads the end of its jobs
        worker.process.join(_PATIENCE)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


def _work(spec: TrackerSpec, store: ResultStore, connection: Connection) -> None:
    """A worker's life. Ends when the other end closes, also when the main process was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the main one decides
    cv2.setNumThreads(1)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            tracker = spec.create()
            if "torch" in sys.modules:  # trackers without torch need not wait for its import
                from ltr.admin.runtime import set_threads

                set_threads(1)
            connection.send(_Ready())
            while True:
                sequence, seed = connection.recv()
                connection.send(run_job(tracker, sequence, seed, store, connection.send))
        except UserError as error:  # StorageError among them
            connection.send(_Fatal(error))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:  # a plugin's constructor may fail in any way
            message = f"tracker {spec.name!r} cannot be built: {type(error).__name__}: {error}"
            connection.send(_Fatal(UserError(f"{message}\n{traceback.format_exc()}")))


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Environment for a process about to start: numerical libraries read it when they are loaded."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _exit_reason(code: int | None) -> str:
    if code is not None and code < 0:
        hint = ", perhaps for lack of memory" if code == -signal.SIGKILL else ""
        return f"killed by {signal.Signals(-code).name}{hint}"
    return f"exit status {code}"
