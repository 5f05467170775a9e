"""Memory of one long run of a tracker through the runner; a tracker that keeps what it need not keep grows.

python benchmarks/memory_long_run.py edcf default [--frames 10000] [--json FILE]

The video is drawn once and kept in memory (a textured square on a closed path, played again and again), so
that what grows is the tracker's or the runner's. Prints the resident memory (RSS) after 1,000 frames and
after the last.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence as Seq
from pathlib import Path

if __package__ in (None, ""):  # run as a file from a checkout that need not be installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

from ltr.admin.errors import UsageError, UserError
from ltr.admin.files import atomic_write
from ltr.admin.log import run_cli, setup_logging
from ltr.admin.overrides import parse_assignments
from pytracking.evaluation.results import ResultStore
from pytracking.evaluation.runner import run_dataset
from pytracking.evaluation.sequence import Sequence
from pytracking.evaluation.track import TrackedFrame
from pytracking.evaluation.tracker_spec import TrackerSpec

LOOP = 100  # distinct frames
MIB = 1024.0 * 1024.0


class LoopedVideo:
    """A FrameSource of any length that repeats `LOOP` drawn frames."""

    def __init__(self, frames: int, size: tuple[int, int], side: int = 40, seed: int = 0) -> None:
        """Draw the frames; `size` is (height, width)."""
        rng = np.random.default_rng(seed)
        height, width = size
        background = rng.integers(60, 120, (height, width, 3), dtype=np.uint8)
        cells = rng.integers(0, 256, (side // 5, side // 5, 3), dtype=np.uint8)
        texture = np.kron(cells, np.ones((5, 5, 1), dtype=np.uint8))
        angle = 2.0 * np.pi * np.arange(LOOP) / LOOP
        self._corners = np.stack([
            np.round((width - side) * (0.5 + 0.3 * np.cos(angle))),
            np.round((height - side) * (0.5 + 0.3 * np.sin(angle))),
        ], axis=1).astype(int)  # fmt: skip
        self._images = []
        for x, y in self._corners:
            image = background.copy()
            image[y : y + side, x : x + side] = texture
            image.flags.writeable = False
            self._images.append(image)
        self._frames, self._side = frames, side

    def __len__(self) -> int:
        """Number of frames."""
        return self._frames

    def read(self, index: int) -> np.ndarray:
        """Frame `index`."""
        return self._images[index % LOOP]

    def boxes(self) -> np.ndarray:
        """(frames, 4) ground truth."""
        corners = self._corners[np.arange(self._frames) % LOOP]
        return np.concatenate([corners, np.full_like(corners, self._side)], axis=1).astype(np.float64)


def resident() -> float:
    """Resident memory of this process in MiB (on systems without /proc its peak)."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return peak()
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024.0


def peak() -> float:
    """Peak of the resident memory of this process in MiB."""
    value = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return value / MIB if sys.platform == "darwin" else value / 1024.0


def measure(spec: TrackerSpec, frames: int, marks: Seq[int], size: tuple[int, int]) -> dict[str, object]:
    """Track `frames` frames; memory in MiB at the frames `marks` (counted from 1).

    Raises:
        UserError: The tracker failed.
    """
    video = LoopedVideo(frames, size)
    sequence = Sequence("long_run", video, video.boxes(), "benchmark")
    at: dict[str, dict[str, float]] = {}
    hits = 0

    def watch(frame: TrackedFrame) -> None:
        nonlocal hits
        x, y, w, h = sequence.ground_truth_rect[frame.index]
        box = frame.box
        hits += abs(box[0] + box[2] / 2 - x - w / 2) <= w / 2 and abs(box[1] + box[3] / 2 - y - h / 2) <= h / 2
        if frame.index + 1 in marks:
            at[str(frame.index + 1)] = {"rss_mib": resident(), "peak_mib": peak()}

    with tempfile.TemporaryDirectory() as folder:
        store = ResultStore(folder, spec.name, spec.parameter)
        start = time.perf_counter()
        summary = run_dataset([sequence], spec, store, on_frame=lambda _: watch)
        seconds = time.perf_counter() - start
    if summary.failures:
        raise UserError(f"{spec.name} {spec.parameter} failed: {summary.failures[0].message}")
    first, last = (at[str(mark)] for mark in (marks[0], marks[-1]))
    return {
        "tracker": f"{spec.name}:{spec.parameter}", "frames": frames, "height_width": list(size), "at": at,
        "rss_growth_mib": last["rss_mib"] - first["rss_mib"],
        "peak_growth_mib": last["peak_mib"] - first["peak_mib"],
        "on_target": hits / frames, "fps": summary.fps, "seconds": seconds,
    }  # fmt: skip


def main(argv: Seq[str] | None = None) -> int:
    """Run the command; 1 where the peak grew by more than --limit."""
    parser = argparse.ArgumentParser(prog="memory_long_run.py", description=__doc__.splitlines()[0])
    parser.add_argument("tracker")
    parser.add_argument("param", nargs="?", default="default")
    parser.add_argument("--frames", type=int, default=10_000, metavar="N")
    parser.add_argument("--first", type=int, default=1_000, metavar="N", help="frame to compare with, default 1000")
    parser.add_argument("--size", type=int, nargs=2, default=(360, 480), metavar=("H", "W"))
    parser.add_argument("--limit", type=float, default=5.0, metavar="MIB", help="allowed growth, default 5")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--weights", metavar="FILE")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", dest="assignments")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args(argv)
    setup_logging()
    return run_cli(lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    if not 1 <= args.first < args.frames or min(args.size) < 60:
        raise UsageError("--first must lie before --frames, and --size be at least 60 60")
    spec = TrackerSpec(args.tracker, args.param, device=args.device, weights=args.weights,
                       overrides=parse_assignments(args.assignments))  # fmt: skip
    marks = sorted({args.first, *range(args.first, args.frames, max(1, args.frames // 10)), args.frames})
    report = measure(spec, args.frames, marks, tuple(args.size))
    for mark, memory in report["at"].items():  # type: ignore[attr-defined]
        print(f"frame {int(mark):6d}: RSS {memory['rss_mib']:8.1f} MiB, peak {memory['peak_mib']:8.1f} MiB")
    flat = report["peak_growth_mib"] <= args.limit  # type: ignore[operator]
    print(
        f"{report['tracker']}: peak grew by {report['peak_growth_mib']:.1f} MiB, RSS by "
        f"{report['rss_growth_mib']:+.1f} MiB from frame {args.first} to {args.frames} "
        f"({'flat' if flat else 'NOT flat'}, limit {args.limit:g}); on target in {report['on_target']:.0%} of the "
        f"frames, {report['fps']:.1f} frames/s"
    )
    if args.json is not None:
        with atomic_write(args.json) as file:
            json.dump(report, file, indent=1)
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
