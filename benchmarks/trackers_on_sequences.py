"""Several trackers beside each other on a folder of sequences, in one run and in turns.

python benchmarks/trackers_on_sequences.py edcf:default opencv:csrt --dataset_path DIR [--threads 2]

Speeds of different runs on a machine that does other work cannot be compared. Here the trackers take turns
sequence by sequence, each being the first in turn, so that all of them meet the same load. `fps` is by the
wall clock, `fps (CPU)` by the CPU time of the tracker's own thread and thus little affected by other
programs; it is given with one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a file from a checkout that need not be installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from ltr.admin.errors import UserError
from ltr.admin.files import atomic_write
from ltr.admin.log import run_cli, setup_logging
from ltr.admin.runtime import set_threads
from pytracking.analysis import Report, ResultSpec, analyze
from pytracking.analysis.tables import render
from pytracking.evaluation.datasets.registry import get_dataset
from pytracking.evaluation.results import ResultStore
from pytracking.evaluation.runner import run_dataset
from pytracking.evaluation.sequence import SequenceList
from pytracking.evaluation.tracker_spec import TrackerSpec


class Stopwatch:
    """A tracker that counts the CPU time of its calls of `track` in the thread that makes them."""

    def __init__(self, tracker: Any) -> None:
        """Wrap a tracker."""
        self._tracker = tracker
        self.frames, self.seconds = 0, 0.0

    def initialize(self, image: Any, info: Any) -> Any:
        """Not counted, as in every figure of speed here."""
        return self._tracker.initialize(image, info)

    def track(self, image: Any, info: Any = None) -> Any:
        """Counted."""
        start = time.thread_time()
        out = self._tracker.track(image, info)
        self.seconds += time.thread_time() - start
        self.frames += 1
        return out


@dataclass(frozen=True)
class LoadedOnce(TrackerSpec):
    """A spec whose tracker is built at the first `create` and kept: the runner is called for every
    sequence."""

    kept: list[Stopwatch] = field(default_factory=list, compare=False)

    def create(self) -> Any:
        """The tracker, the same object every time."""
        if not self.kept:
            self.kept.append(Stopwatch(super().create()))
        return self.kept[0]


def run(
    sequences: SequenceList, specs: Sequence[ResultSpec], results: Path, device: str
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Track everything in turns.

    Returns:
        Label -> sequence -> frames/s by CPU time, for what was tracked now; and descriptions of failures.
    """
    recipes = [LoadedOnce(spec.tracker, spec.parameter, device=device) for spec in specs]
    for recipe in recipes:  # what cannot be built fails now, before anything is computed
        recipe.create()
    speeds: dict[str, dict[str, float]] = {str(spec): {} for spec in specs}
    failures = []
    for turn, sequence in enumerate(sequences):
        for step in range(len(specs)):
            index = (turn + step) % len(specs)
            spec, recipe = specs[index], recipes[index]
            watch = recipe.kept[0]
            frames, seconds = watch.frames, watch.seconds
            store = ResultStore(results, spec.tracker, spec.parameter, spec.run_id)
            summary = run_dataset([sequence], recipe, store)
            failures += [f"{spec}, {failure.sequence}: {failure.message}" for failure in summary.failures]
            if summary.done and watch.seconds > seconds:
                speeds[str(spec)][sequence.name] = (watch.frames - frames) / (watch.seconds - seconds)
            print(f"{sequence.name} {spec}: {'done' if summary.done else 'not run'}", file=sys.stderr, flush=True)
    return speeds, failures


def pooled(speeds: Mapping[str, float], sequences: SequenceList) -> float | None:
    """All frames over all seconds; None where a sequence was not timed now."""
    if len(speeds) < len(sequences):
        return None
    counts = {sequence.name: len(sequence) - 1 for sequence in sequences}
    return sum(counts[name] for name in speeds) / sum(counts[name] / speed for name, speed in speeds.items())


def machine() -> dict[str, Any]:
    """What a reader needs to judge speeds."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    load = [round(value, 1) for value in os.getloadavg()] if hasattr(os, "getloadavg") else None
    return {"cpu": cpu, "cores": os.cpu_count(), "load": load, "python": platform.python_version()}


def tables(report: Report, cpu: Mapping[str, float | None], per_sequence: Mapping[str, Mapping[str, float]]) -> str:
    """Three Markdown tables: means with the AUC of each sequence; DP20 and OP50; frames/s of each
    sequence."""
    names = report.sequence_names

    def number(value: float | None, digits: int = 3) -> str:
        return "-" if value is None else f"{value:.{digits}f}"

    overview, scores, speeds = [], [], []
    for label, tracker in report.trackers.items():
        mean, each = tracker.summary, tracker.sequences
        overview.append([label, number(mean.auc), number(mean.dp20), number(mean.op50), number(tracker.fps, 1),
                         number(cpu[label], 1), *(number(each[name].summary.auc) for name in names)])  # fmt: skip
        scores.append([label, *(f"{each[name].summary.dp20:.3f} / {each[name].summary.op50:.3f}" for name in names)])
        speeds.append([label, *(f"{number(each[name].fps, 1)} / {number(per_sequence[label].get(name), 1)}"
                                for name in names)])  # fmt: skip
    return "\n\n".join([
        render(["tracker", "AUC", "DP20", "OP50", "fps", "fps (CPU)", *names], overview, markdown=True),
        render(["DP20 / OP50", *names], scores, markdown=True),
        render(["fps / fps (CPU)", *names], speeds, markdown=True),
    ])  # fmt: skip


def to_dict(
    report: Report, cpu: Mapping[str, float | None], per_sequence: Mapping[str, Mapping[str, float]], threads: int
) -> dict[str, Any]:
    """The JSON: that of run_analysis with op50 and fps_cpu for every sequence, and the machine."""
    content = report.to_dict()
    for label, tracker in content["trackers"].items():
        tracker["fps_cpu"] = cpu[label]
        for name, one in tracker["sequences"].items():
            one["op50"] = report.trackers[label].sequences[name].summary.op50
            one["fps_cpu"] = per_sequence[label].get(name)
    return content | {"threads": threads, "machine": machine()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="trackers_on_sequences.py", description=__doc__.splitlines()[0])
    parser.add_argument("trackers", nargs="+", metavar="tracker:param[:runid]")
    parser.add_argument("--dataset", default="folder", help="default: folder")
    parser.add_argument("--dataset_path", metavar="DIR", help="default: local.toml")
    parser.add_argument("--sequences", nargs="+", default=[], metavar="NAME", help="only these")
    parser.add_argument("--threads", type=int, choices=(1, 2), default=1, help="CPU threads of a tracker, default 1")
    parser.add_argument("--device", default="cpu", help="default: cpu")
    parser.add_argument("--results", type=Path, metavar="DIR", help="keep result files; whole ones are not redone")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables to FILE too")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args(argv)
    setup_logging()
    return run_cli(lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    specs = [ResultSpec.parse(text) for text in dict.fromkeys(args.trackers)]
    sequences = get_dataset(args.dataset, args.dataset_path)
    if args.sequences:
        sequences = SequenceList([sequences[name] for name in args.sequences])
    set_threads(args.threads)
    _limit_opencv(args.threads)
    with tempfile.TemporaryDirectory() as temporary:
        results = args.results or Path(temporary)
        speeds, failures = run(sequences, specs, results, args.device)
        if failures:
            raise UserError("these failed:\n" + "\n".join(failures))
        report = analyze(sequences, specs, results=results)
    if args.threads > 1:  # the other threads' work is not in it
        speeds = {label: {} for label in speeds}
    cpu = {label: pooled(each, sequences) for label, each in speeds.items()}
    text = tables(report, cpu, speeds)
    facts = machine()
    print(f"{facts['cpu']}, {args.threads} of {facts['cores']} cores, load {facts['load']}\n\n{text}")
    for path, content in (
        (args.markdown, text + "\n"),
        (args.json, json.dumps(to_dict(report, cpu, speeds, args.threads), indent=1) + "\n"),
    ):
        if path is not None:
            with atomic_write(path) as file:
                file.write(content)
    return 0


def _limit_opencv(threads: int) -> None:
    import cv2

    cv2.setNumThreads(threads)


if __name__ == "__main__":
    sys.exit(main())
