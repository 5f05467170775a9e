"""Command line that draws the curve of a training: ``python ltr/run_curve.py <folder of the run>``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a file: Python put ltr/ itself on the path, which is no package root
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from ltr.admin.log import run_cli, setup_logging

log = logging.getLogger(__name__)


def make_parser() -> argparse.ArgumentParser:
    """The arguments of this command."""
    parser = argparse.ArgumentParser(
        prog="ltr-curve",
        description="Draw the figures of a training over its epochs.",
        epilog="example: ltr-curve workspace/edcf/default --output curve.png",
    )
    parser.add_argument("run", type=Path, help="folder of a training, or a log.csv")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="png, pdf or svg; default: curve.png beside the log"
    )
    parser.add_argument("--title", default="", help="line above the panels")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status (0 done, 1 failed, 2 wrong usage)."""
    args = make_parser().parse_args(argv)
    setup_logging()
    return run_cli(lambda: _draw(args))


def _draw(args: argparse.Namespace) -> int:
    from ltr.trainers.curve import draw_curve

    log_file = args.run / "log.csv" if args.run.is_dir() else args.run
    picture = draw_curve(log_file, args.output or log_file.with_name("curve.png"), args.title)
    log.info("wrote %s", picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
