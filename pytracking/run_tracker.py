"""Command line that runs a tracker on a data set: `python pytracking/run_tracker.py edcf default otb`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a file: Python then looks into pytracking/ instead of beside it
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from tqdm import tqdm

from ltr.admin.errors import UsageError
from ltr.admin.log import run_cli, setup_logging
from pytracking import cli
from pytracking.evaluation.datasets.registry import get_dataset, list_datasets
from pytracking.evaluation.job import Progress
from pytracking.evaluation.results import ResultStore
from pytracking.evaluation.runner import RunSummary, run_dataset
from pytracking.evaluation.sequence import Sequence as AnnotatedSequence
from pytracking.evaluation.track import FrameHook, TrackedFrame
from pytracking.visualization.picture import compose
from pytracking.visualization.sinks import FolderSink, PictureSink, VisdomSink


def make_parser() -> argparse.ArgumentParser:
    """The arguments of this command."""
    parser = cli.make_parser(
        "run_tracker.py",
        "%(prog)s TRACKER PARAM DATASET [options]\n       %(prog)s --list",
        "Run a tracker on a data set, one result file per sequence. A run that was stopped goes "
        "on where it was.",
        "run_tracker.py edcf default folder --dataset_path videos --threads 2",
    )
    parser.add_argument("tracker", nargs="?", metavar="TRACKER", help="name of a tracker")
    parser.add_argument("param", nargs="?", metavar="PARAM", help="name of one of its parameter files")
    parser.add_argument("dataset", nargs="?", metavar="DATASET", help="name of a data set")
    parser.add_argument("--list", action="store_true", help="show trackers, parameters and data sets")
    parser.add_argument("--dataset_name", metavar="NAME", help=argparse.SUPPRESS)
    parser.add_argument("--dataset_path", metavar="DIR", type=Path, help="its folder; default: local.toml")
    parser.add_argument("--sequence", metavar="NAME|INDEX", help="only this sequence (the first is 0)")
    parser.add_argument(
        "--threads", type=int, default=0, metavar="N", help="worker processes; 0 (default): none"
    )
    parser.add_argument(
        "--debug",
        type=int,
        default=0,
        choices=range(4),
        metavar="0..3",
        help="1: pictures of all frames in <results>/.../debug; 2, 3: with the tracker's maps",
    )
    parser.add_argument("--visdom_server", metavar="HOST", help="show these pictures in visdom instead")
    parser.add_argument("--visdom_port", type=int, default=8097, metavar="PORT", help="default: 8097")
    cli.add_tracker_options(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status (0 done, 1 failed, 2 wrong usage)."""
    args = make_parser().parse_args(argv)
    setup_logging(args.verbose)
    return run_cli(lambda: _list() if args.list else _run(args))


def _list() -> int:
    sys.stdout.write(cli.describe_available())
    return 0


def _run(args: argparse.Namespace) -> int:
    if args.tracker is None or args.param is None:
        raise UsageError(
            "name a tracker, a parameter file and a data set; --list shows them, --help the rest"
        )
    spec = cli.tracker_spec(args).with_debug(args.debug)
    spec.parameters()  # a misspelt tracker is told at once, not after the data set has been looked for
    sequences = get_dataset(_dataset_name(args), args.dataset_path)
    if args.sequence is not None:
        sequences = sequences.select(args.sequence)
    store = ResultStore(cli.results_root(args), args.tracker, args.param, args.runid)
    watch = _watcher(args, store)
    with _Bar(len(sequences), sum(len(sequence) for sequence in sequences)) as bar:
        summary = run_dataset(sequences, spec, store, args.threads, on_progress=bar.show, on_frame=watch)
    sys.stdout.write(_last_line(summary, store) + "\n")
    return 1 if summary.failures else 0


def _dataset_name(args: argparse.Namespace) -> str:
    if args.dataset and args.dataset_name and args.dataset != args.dataset_name:
        raise UsageError(
            f"two data sets are named, {args.dataset!r} and {args.dataset_name!r}: leave one out"
        )
    name = args.dataset or args.dataset_name
    if not name:
        raise UsageError(f"name a data set as third argument; available: {', '.join(list_datasets())}")
    return str(name)


def _watcher(args: argparse.Namespace, store: ResultStore) -> Callable[[AnnotatedSequence], FrameHook] | None:
    """What draws the frames of a sequence, where --debug or --visdom_server asks for it."""
    if args.debug == 0 and args.visdom_server is None:
        return None
    sink: PictureSink
    if args.visdom_server is None:
        sink = FolderSink(store.folder / "debug")
    else:
        sink = VisdomSink(args.visdom_server, args.visdom_port)

    def watch(sequence: AnnotatedSequence) -> FrameHook:
        def show(frame: TrackedFrame) -> None:
            output = {**frame.output, "target_bbox": frame.box}
            truth = sequence.ground_truth_rect[frame.index]
            label = f"{store.tracker} {store.parameter}  #{frame.index}"
            sink.show(sequence.name, frame.index, compose(frame.image, output, truth, args.debug > 1, label))

        return show

    return watch


def _last_line(summary: RunSummary, store: ResultStore) -> str:
    parts = [f"{len(summary.done)} done"]
    if summary.skipped:
        parts.append(f"{len(summary.skipped)} skipped (complete before)")
    if summary.failures:
        parts.append(
            f"{len(summary.failures)} FAILED ({', '.join(failure.sequence for failure in summary.failures)})"
        )
    speed = "" if summary.fps is None else f", {summary.fps:.1f} frames/s"
    return (
        f"{store.tracker} {store.parameter}: sequences {', '.join(parts)}{speed}; results in {store.folder}"
    )


class _Bar:
    """A progress bar in frames on stderr, where that is a terminal."""

    def __init__(self, sequences: int, frames: int) -> None:
        self._bar = tqdm(
            total=frames,
            unit="frame",
            file=sys.stderr,
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
            smoothing=0.05,
        )
        self._sequences, self._ended = sequences, 0

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, event: Progress) -> None:
        """Take an event of the run."""
        if event.kind in ("skipped", "failed"):
            self._bar.total -= event.frames  # they will not be tracked, and must not count as speed
        else:
            self._bar.update(event.frames)
        self._ended += event.kind != "frames"
        self._bar.set_description_str(f"{self._ended}/{self._sequences} {event.sequence}", refresh=False)
        self._bar.refresh()


if __name__ == "__main__":
    sys.exit(main())
