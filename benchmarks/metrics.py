"""CPU time of the evaluation: by default 280 sequences x 2,500 frames x 10 trackers, 7 million frames.

python benchmarks/metrics.py [--files] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

if __package__ in (None, ""):  # run as a file from a checkout that need not be installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

from ltr.admin.files import atomic_write
from ltr.admin.log import run_cli, setup_logging
from pytracking.analysis.metrics import evaluate_sequence, summarize
from pytracking.analysis.rules import get_rule
from pytracking.evaluation.results import ResultStore

RULES = ("otb", "lasot", "pysot", "got10k_otb", "got10k_val_unclipped", "lasot_toolkit", "trackingnet")


def make_data(sequences: int, frames: int, trackers: int) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """Integer boxes: annotations per sequence, predictions per tracker and sequence."""
    rng = np.random.default_rng(0)
    truth, predictions = [], [[] for _ in range(trackers)]
    for _ in range(sequences):
        corner, size = rng.integers(1, 600, (frames, 2)), rng.integers(20, 100, (frames, 2))
        boxes = np.concatenate([corner, size], axis=1).astype(np.float64)
        truth.append(boxes)
        for tracker, stored in enumerate(predictions):
            stored.append(np.maximum(np.round(boxes + rng.normal(0.0, 3.0 + 2.0 * tracker, boxes.shape)), 1.0))
    return truth, predictions


def cpu_seconds(work: Callable[[], object], repeats: int) -> float:
    """The best of several runs: other programs on the machine only ever make it slower."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def measure(args: argparse.Namespace) -> dict[str, float]:
    """CPU seconds by name."""
    truth, predictions = make_data(args.sequences, args.frames, args.trackers)
    figures = {}
    for name in RULES:
        rule = get_rule(name)

        def evaluate(rule=rule) -> None:  # type: ignore[no-untyped-def]
            for stored in predictions:
                scores = [evaluate_sequence(gt, pred, rule) for gt, pred in zip(truth, stored, strict=True)]
                summarize(scores, rule)

        figures[f"rule {name}"] = cpu_seconds(evaluate, args.repeats)
    fine = replace(get_rule("otb"), success_bins=100)
    figures["rule otb, 101 thresholds"] = cpu_seconds(lambda: evaluate(fine), args.repeats)
    if args.files:
        figures["reading the text files (one pass)"] = _reading(predictions)
    return figures


def _reading(predictions: list[list[np.ndarray]]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        stores = [ResultStore(folder, "tracker", f"p{index}") for index in range(len(predictions))]
        for store, stored in zip(stores, predictions, strict=True):
            for index, boxes in enumerate(stored):
                store.write(f"s{index}", boxes, np.ones(len(boxes)))
        count = len(predictions[0])
        return cpu_seconds(lambda: [store.read(f"s{i}") for store in stores for i in range(count)], 1)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="metrics.py", description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=280, metavar="N")
    parser.add_argument("--frames", type=int, default=2500, metavar="N")
    parser.add_argument("--trackers", type=int, default=10, metavar="N")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="the best of N counts, default 3")
    parser.add_argument("--files", action="store_true", help="also write and read result files")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args(argv)
    setup_logging()
    return run_cli(lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    total = args.sequences * args.frames * args.trackers
    figures = measure(args)
    print(f"{total:,} frames, Python {platform.python_version()}, numpy {np.__version__}: CPU seconds")
    for name, seconds in figures.items():
        print(f"  {name:36s} {seconds:7.2f}")
    if args.json is not None:
        with atomic_write(args.json) as file:
            json.dump({"frames": total, "numpy": np.__version__, "cpu_seconds": figures}, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
