"""What the benchmarks of whole trackers share: a clock for parts of a frame, and videos."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ltr.admin.runtime import synchronize
from pytracking.evaluation.datasets.registry import get_dataset

Video = list[tuple[np.ndarray, list[float]]]  # frames, and the true boxes in them


class Clock:
    """Tells the time after the device has done all it was given.

    Args:
        device: to wait for.
        cpu_time: tell the CPU time of this thread.
    """

    def __init__(self, device: torch.device, cpu_time: bool) -> None:
        self.device, self.read = device, time.thread_time if cpu_time else time.perf_counter
        self.spent: dict[str, float] = defaultdict(float)
        self._inner = [0.0]

    def now(self) -> float:
        """Seconds."""
        synchronize(self.device)
        return self.read()

    def seconds(self, function: Callable[[], Any]) -> float:
        """What a call takes."""
        start = self.now()
        function()
        return self.now() - start

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time added to a part; without the time of other timed functions that it calls."""

        def run(*args: Any, **kwargs: Any) -> Any:
            self._inner.append(0.0)
            start = self.now()
            result = function(*args, **kwargs)
            whole = self.now() - start
            self.spent[part] += whole - self._inner.pop()
            self._inner[-1] += whole
            return result

        return run


def synthetic_video(count: int) -> Video:
    """Moving blocks, and a box that stays."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (90, 120, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    return [(np.roll(image, 2 * index, axis=1), [200.0, 150.0, 60.0, 80.0]) for index in range(count)]


def read_video(folder: Path, count: int) -> Video:
    """The first frames of a sequence's folder and their true boxes."""
    sequence = get_dataset("folder", folder.resolve().parent)[folder.resolve().name]
    boxes = sequence.ground_truth_rect[:count]
    return [(sequence.image(index), [float(v) for v in box]) for index, box in enumerate(boxes)]
