"""What the tracking command lines share: arguments of a tracker, the list of what there is."""

from __future__ import annotations

import argparse
from pathlib import Path

from ltr.admin.overrides import parse_assignments
from ltr.admin.paths import results_dir
from pytracking.evaluation.tracker_spec import TrackerSpec


def make_parser(prog: str, usage: str, description: str, example: str) -> argparse.ArgumentParser:
    """A parser whose help is short enough for one screen."""
    return argparse.ArgumentParser(
        prog=prog,
        usage=usage,
        description=description,
        epilog=f"example: {example}",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=26),
    )


def add_tracker_options(parser: argparse.ArgumentParser) -> None:
    """--device, --weights, --seed, --set, --results, --runid, --verbose."""
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")
    parser.add_argument("--weights", metavar="FILE", help="weights instead of the parameter file's")
    parser.add_argument(
        "--set",
        dest="assignments",
        action="append",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="change parameters, e.g. --set search_area_scale=4",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the run, default 0")
    parser.add_argument(
        "--results", metavar="DIR", type=Path, help="results folder; default: local.toml, or ./results"
    )
    parser.add_argument("--runid", type=int, metavar="N", help="number of a repetition, its results apart")
    parser.add_argument("--verbose", action="store_true", help="log more")


def tracker_spec(args: argparse.Namespace) -> TrackerSpec:
    """The tracker that the arguments describe.

    Raises:
        UsageError: A malformed --set.
    """
    assignments = [text for group in args.assignments for text in group]
    return TrackerSpec(
        args.tracker,
        args.param,
        device=args.device,
        weights=args.weights,
        overrides=parse_assignments(assignments),
        seed=args.seed,
    )


def results_root(args: argparse.Namespace) -> Path:
    """--results, or the configured folder."""
    return results_dir() if args.results is None else args.results.expanduser()


def describe_available() -> str:
    """Trackers with their parameters, and data sets, as text for --list; broken plugins are marked."""
    from pytracking.evaluation.datasets.registry import list_datasets
    from pytracking.registry import list_parameters, tracker_entries

    lines = ["trackers: parameters"]
    for name, entry in sorted(tracker_entries(probe=True).items()):
        listed = f"(broken: {entry.broken})" if entry.broken else ", ".join(list_parameters(name))
        lines.append(f"  {name}: {listed}")
    lines += ["data sets", *(f"  {name}" for name in list_datasets())]
    return "\n".join(lines) + "\n"
