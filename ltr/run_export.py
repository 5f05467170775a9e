"""Command line that makes a model file ready for tracking: ``python ltr/run_export.py <from> <to>``."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a file: Python put ltr/ itself on the path, which is no package root
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from ltr.admin.errors import UsageError
from ltr.admin.log import run_cli, setup_logging
from ltr.admin.overrides import parse_assignments

log = logging.getLogger(__name__)


def make_parser() -> argparse.ArgumentParser:
    """The arguments of this command."""
    parser = argparse.ArgumentParser(
        prog="ltr-export",
        description="Copy a trained model without what tracking does not need, in half precision.",
        epilog="example: ltr-export workspace/edcf/edcf/model_best.safetensors my_edcf.safetensors --set decoder=false",
    )
    parser.add_argument("source", type=Path, help="model file of a training")
    parser.add_argument("target", type=Path, help="file to write")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", dest="assignments",
                        help="change arguments of the net's builder; values are JSON (false, 0.5, \"thin\")")
    parser.add_argument("--dtype", choices=("float16", "float32"), default="float16", help="default: float16")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status (0 done, 1 failed, 2 wrong usage)."""
    args = make_parser().parse_args(argv)
    setup_logging()
    return run_cli(lambda: _export(args))


def _export(args: argparse.Namespace) -> int:
    import torch

    from ltr.admin.export import export_model

    changes = {key: _json(key, text) for key, text in parse_assignments(args.assignments).items()}
    path = export_model(args.source, args.target, changes, getattr(torch, args.dtype))
    log.info("wrote %s, %.2f MB", path, path.stat().st_size / 1e6)
    return 0


def _json(key: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"--set {key}={text}: not a JSON value; write text as '{key}=\"{text}\"'") from error


if __name__ == "__main__":
    sys.exit(main())
