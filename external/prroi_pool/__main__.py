"""Command line: ``python -m prroi_pool`` shows which back ends are there, checks them and times them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from prroi_pool import report, selfcheck


def make_parser() -> argparse.ArgumentParser:
    """The arguments of this command."""
    parser = argparse.ArgumentParser(
        prog="python -m prroi_pool",
        description="Shows which back ends of Precise RoI pooling are there, checks each against the exact one in"
        " float64, and times them at the sizes of IoU-Net and DCFST. Ends with 1 if a check fails.",
        epilog="example: python -m prroi_pool --threads 2 --json report.json",
    )
    parser.add_argument("--threads", type=int, metavar="N", help="threads of the CPU; default: torch's own choice")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of the timing, 0 for none; default 5")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report to FILE as well")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status (0 done, 1 a check failed, 2 wrong usage)."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.rounds < 0 or (args.threads is not None and args.threads < 1):
        parser.error("--threads takes a number from 1 on, --rounds one from 0 on")
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    checks = selfcheck.check_all()
    timings = [
        selfcheck.time_case(case, device, args.rounds)
        for device in selfcheck.devices()
        for case in (selfcheck.CASES if args.rounds else ())
    ]
    print(report.as_text(checks, timings), end="")
    if args.json is not None:
        try:
            args.json.write_text(json.dumps(report.as_dict(checks, timings), indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            print(f"{parser.prog}: cannot write {args.json}: {error.strerror}", file=sys.stderr)
            return 1
    return 0 if all(check.passed for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
