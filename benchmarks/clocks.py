"""What the benchmarks of whole trackers share: a clock for parts of a frame, its command line, and videos."""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ltr.admin.runtime import DTYPES, resolve_device, synchronize
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


def add_arguments(parser: argparse.ArgumentParser, frames: int) -> None:
    """Adds what says where, how long and by which clock is measured."""
    parser.add_argument("--precisions", nargs="+", choices=tuple(DTYPES), default=["fp32", "bf16"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--frames", type=int, default=frames, help="frames of each candidate in a round")
    parser.add_argument("--rounds", type=int, default=3, help="the candidates take turns this many times")
    parser.add_argument("--cpu_time", action="store_true",
                        help="CPU time in place of the wall clock, for a machine that does other work; on one thread")
    parser.add_argument("--json", type=Path)


def start(parser: argparse.ArgumentParser, args: argparse.Namespace, figure: str) -> tuple[Clock, dict[str, Any]]:
    """Sets threads and seed, says what is measured (``figure``: minima, medians), and returns the clock and facts."""
    device = resolve_device(args.device)
    if args.cpu_time and (args.threads > 1 or device.type != "cpu"):
        parser.error("--cpu_time is that of one thread: give --threads 1 and --device cpu")
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    kind = "CPU time" if args.cpu_time else "wall clock"
    print(f"{device}, {args.threads} threads, torch {torch.__version__}; milliseconds of {kind}, {figure}")
    return Clock(device, args.cpu_time), {"threads": args.threads, "device": str(device), "clock": kind}


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
