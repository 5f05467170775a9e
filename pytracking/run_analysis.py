"""Command line of the evaluation: ``python pytracking/run_analysis.py <dataset> <tracker>:<param> ...``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (
    None,
    "",
):  # run as a file: sys.path then starts with pytracking/ itself
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from ltr.admin.errors import UsageError
from ltr.admin.files import atomic_write, writable_dir
from ltr.admin.log import run_cli, setup_logging
from pytracking.analysis import PRESETS, Report, analyze
from pytracking.analysis.tables import auc_table, overview_table, sequence_table

_SHORT = 20  # sequences up to which the AUC of each is shown unasked


def make_parser() -> argparse.ArgumentParser:
    """The arguments of this command."""
    parser = argparse.ArgumentParser(
        prog="run_analysis.py",
        description="Figures, tables and plots from the result files that run_tracker.py writes.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=30, width=110),
        epilog="example: run_analysis.py folder edcf:default opencv:csrt --dataset_path videos --plots plots",
    )
    parser.add_argument("dataset", help="name of the data set (run_tracker.py --list shows them)")
    parser.add_argument("trackers", nargs="+", metavar="tracker:param[:runid]", help="results to compare")
    parser.add_argument("--dataset_path", type=Path, metavar="DIR", help="default: [datasets] in local.toml")
    parser.add_argument("--results", type=Path, metavar="DIR", help="default: [paths] results in local.toml")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures, as fractions, to FILE")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write the three plots as PNG and PDF")
    parser.add_argument("--markdown", action="store_true", help="tables as Markdown")
    parser.add_argument("--sequences", nargs="+", default=[], metavar="NAME", help="evaluate only these")
    parser.add_argument("--per_sequence", action="store_true", help="also AUC, DP20, fps of every sequence")
    parser.add_argument(
        "--skip_missing",
        action="store_true",
        help="leave sequences that lack a result of any tracker out for all",
    )
    parser.add_argument(
        "--rule",
        metavar="NAME",
        help=f"evaluation rule; default: the data set's, mostly otb. One of: {', '.join(PRESETS)}",
    )
    parser.add_argument("--verbose", action="store_true", help="log more")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status (0 done, 1 failed, 2 wrong usage)."""
    args = make_parser().parse_args(argv)
    setup_logging(args.verbose)
    return run_cli(lambda: _analyze(args))


def _analyze(args: argparse.Namespace) -> int:
    if args.json is not None and args.json.is_dir():
        raise UsageError(f"--json {args.json} is a folder; name a file in it: {args.json / 'figures.json'}")
    report = analyze(
        args.dataset,
        args.trackers,
        dataset_path=args.dataset_path,
        results=args.results,
        rule=args.rule,
        sequences=args.sequences,
        skip_missing=args.skip_missing,
    )
    # The tables come first: if a file cannot be written, the figures are not lost.
    sys.stdout.write(_text(report, markdown=args.markdown, per_sequence=args.per_sequence))
    sys.stdout.flush()
    if args.json is not None:
        writable_dir(args.json.parent)
        with atomic_write(args.json) as file:
            json.dump(report.to_dict(), file, indent=1, allow_nan=False)
            file.write("\n")
    if args.plots is not None:
        from pytracking.analysis.plots import save_plots

        paths = save_plots(report, args.plots)
        sys.stderr.write(
            f"plots: {', '.join(str(path) for path in paths if path.suffix == '.png')} (and .pdf)\n"
        )
    return 0


def _text(report: Report, *, markdown: bool, per_sequence: bool) -> str:
    count = len(report.sequence_names)
    skipped = f", {len(report.left_out)} left out" if report.left_out else ""
    parts = [
        f"{report.dataset}: {count} sequence{'s' if count > 1 else ''}{skipped}, rule '{report.rule.name}' "
        f"({report.rule.summary})",
        overview_table(report, markdown=markdown),
    ]
    if count <= _SHORT or per_sequence:
        parts.append(auc_table(report, markdown=markdown))
    else:
        parts.append(f"(AUC of each of the {count} sequences: --per_sequence)")
    if per_sequence:
        parts.append(sequence_table(report, markdown=markdown))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
