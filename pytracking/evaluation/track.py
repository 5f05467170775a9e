"""Tracking one sequence: reading ahead, and keeping what was found frame by frame."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pytracking.api import InitInfo
from pytracking.evaluation.sequence import Sequence

_READ_AHEAD = 3  # frames; decoding overlaps with tracking, and few enough to hold no memory to speak of


@dataclass(frozen=True)
class TrackedFrame:
    """One frame and what the tracker made of it.

    Attributes:
        index: 0 for the frame the tracker was started on.
        image: (H, W, 3) uint8 RGB.
        output: The tracker's output.
        box: `[x, y, w, h]`.
        seconds: What the tracker took.
    """

    index: int
    image: np.ndarray
    output: Mapping[str, Any]
    box: list[float]
    seconds: float


FrameHook = Callable[[TrackedFrame], None]


class RunnableTracker(Protocol):
    """What the runner needs of a tracker: `pytracking.host.HostedTracker` has it."""

    def initialize(self, image: np.ndarray, info: Any) -> Mapping[str, Any]:
        """Start on the first frame."""
        ...

    def track(self, image: np.ndarray, info: Any = None) -> Mapping[str, Any]:
        """Find the target in the next frame."""
        ...


class Recording:
    """Boxes, times and scores while a video is tracked; `count` frames are known so far.

    Attributes:
        boxes: (count, 4) float64 `[x, y, w, h]`; the first row is the box the tracker was started with.
        times: (count,) seconds the tracker took, reading the image not included.
        scores: (count,) the tracker's score, NaN where it gives none.
    """

    def __init__(self, n_frames: int = 256) -> None:
        """Make room for `n_frames`; more is made where they do not suffice."""
        self._rows = np.full((max(1, n_frames), 6), np.nan)
        self.count = 0

    def add(self, frame: TrackedFrame) -> None:
        """Append a frame."""
        if self.count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.full_like(self._rows, np.nan)])
        score = frame.output.get("object_presence_score", frame.output.get("score"))
        self._rows[self.count, :4] = frame.box
        self._rows[self.count, 4:] = frame.seconds, np.nan if score is None else float(score)
        self.count += 1

    @property
    def boxes(self) -> np.ndarray:
        """(count, 4)."""
        return self._rows[: self.count, :4]

    @property
    def times(self) -> np.ndarray:
        """(count,) seconds."""
        return self._rows[: self.count, 4]

    @property
    def scores(self) -> np.ndarray:
        """(count,)."""
        return self._rows[: self.count, 5]


def track_frames(
    tracker: RunnableTracker, frames: Iterable[np.ndarray], info: InitInfo
) -> Generator[TrackedFrame, None, None]:
    """Start a tracker on the first frame and follow the target through the others.

    The box of the first frame is the given one, whatever the tracker says: the benchmarks count it so.

    Args:
        tracker: Started anew by this call.
        frames: (H, W, 3) uint8 RGB each.
        info: The first box, and the video's `seed`.

    Yields:
        One TrackedFrame per frame.
    """
    for index, image in enumerate(frames):
        start = time.perf_counter()
        output = tracker.track(image) if index else tracker.initialize(image, info)
        elapsed = time.perf_counter() - start
        box = output["target_bbox"] if index else info["init_bbox"]
        yield TrackedFrame(index, image, output, list(box), float(output.get("time", elapsed)))


def track_sequence(
    tracker: RunnableTracker,
    sequence: Sequence,
    seed: int,
    recording: Recording,
    on_frame: FrameHook | None = None,
) -> None:
    """Run a tracker over a sequence from its first box, never helping it again (one-pass evaluation).

    Args:
        tracker: Started anew by this call.
        sequence: What to track.
        seed: The sequence's seed, handed to the tracker.
        recording: Filled frame by frame, so that a failure leaves what was found before.
        on_frame: Called after each frame.

    Raises:
        UserError: A frame cannot be read, or does not fit the others.
        Exception: Whatever the tracker raises.
    """
    info: InitInfo = {**sequence.init_info(), "seed": seed}
    # Closed at once on an error: a reader left behind would go on decoding.
    with (
        contextlib.closing(read_ahead(sequence)) as images,
        contextlib.closing(track_frames(tracker, images, info)) as tracked,
    ):
        for frame in tracked:
            recording.add(frame)
            if on_frame is not None:
                on_frame(frame)


def read_ahead(sequence: Sequence) -> Generator[np.ndarray, None, None]:
    """Frames in order, the next ones read by a thread while the present one is used.

    Raises:
        UserError: A frame cannot be read; raised when its turn comes, after those before it were given.
    """
    reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="frame-reader")
    pending: deque[Future[np.ndarray]] = deque()
    try:
        for index in range(len(sequence)):
            pending.append(reader.submit(sequence.image, index))
            if len(pending) > _READ_AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        reader.shutdown(wait=True, cancel_futures=True)
