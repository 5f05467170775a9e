"""Command line that shows what a net consists of: ``python ltr/run_info.py <net or weights>`` (also ``ltr-info``)."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __package__ in (None, ""):  # run as a file: Python put ltr/ itself on the path, which is no package root
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from ltr.admin.errors import UsageError
from ltr.admin.log import run_cli, setup_logging
from ltr.admin.overrides import parse_assignments

if TYPE_CHECKING:
    from ltr.models.counting import Counter
    from ltr.models.registry import NetSpec


def make_parser() -> argparse.ArgumentParser:
    """The arguments of this command."""
    parser = argparse.ArgumentParser(
        prog="ltr-info",
        description="Show a net's layers, their parameters, and the multiply-accumulates (MACs) of one tracked frame.",
        epilog="examples: ltr-info dimp18    ltr-info rfgm_b256 --set stages=2    ltr-info model_best.safetensors",
    )
    parser.add_argument("net", help="builder of a net, or a file of weights (ours or an official checkpoint)")
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        dest="assignments",
        help='arguments of the builder; values are JSON (false, 0.5, "thin")',
    )
    parser.add_argument(
        "--depth",
        type=int,
        default=2,
        metavar="N",
        help="parts of a layer's name that make a line (default: 2; 0: every layer)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status (0 done, 1 failed, 2 wrong usage)."""
    args = make_parser().parse_args(argv)
    setup_logging()
    return run_cli(lambda: _info(args))


def _info(args: argparse.Namespace) -> int:
    spec, facts = _spec(args)
    counter, frame = count_frame(spec)
    out = sys.stdout.write
    arguments = ", ".join(f"{name}={value!r}" for name, value in spec.kwargs.items())
    out(f"{spec.builder}({arguments})\n")
    for fact in facts:
        out(f"{fact}\n")
    rows = grouped(counter, args.depth)
    width = max(map(len, [*rows, "layer"]))
    out(f"\n{'layer':<{width}}  {'parameters':>12}  {'MACs':>16}  kind\n")
    for name, (parameters, macs, kind) in rows.items():
        out(f"{name:<{width}}  {parameters:>12,}  {macs:>16,}  {kind}\n")
    total = sum(layer.parameters for layer in counter.layers.values())
    out(f"{'all':<{width}}  {total:>12,}  {counter.macs:>16,}\n\n")
    out(f"MACs of {frame}.\n" if counter.macs else f"No MACs: {frame}.\n")
    return 0


def _spec(args: argparse.Namespace) -> tuple[NetSpec, list[str]]:
    """The net that is meant, and what its file says."""
    from ltr.admin.checkpoint import read_model
    from ltr.models.registry import NetSpec, list_builders

    changes = {key: _json(key, text) for key, text in parse_assignments(args.assignments).items()}
    path = Path(args.net).expanduser()
    if args.net in list_builders() or not (path.suffix or path.exists()):
        return NetSpec(args.net, changes), []
    if changes:
        raise UsageError("--set is for builders: a file of weights has its arguments in itself")
    model = read_model(path)
    types = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in model.tensors.values()})
    facts = [f"{path}: {path.stat().st_size / 1e6:.2f} MB, {', '.join(types)}"]
    if "epoch" in model.facts:
        facts.append(f"after epoch {model.facts['epoch']}: " + ", ".join(
            f"{name} {value:.4g}" for name, value in model.facts.get("metrics", {}).items() if isinstance(value, float)
        ))  # fmt: skip
    return model.spec, facts


def count_frame(spec: NetSpec) -> tuple[Counter, str]:
    """Counts what the net computes for a frame; returns the counter and what was counted, or why nothing was."""
    import torch

    from ltr.models.counting import Counter
    from ltr.models.registry import build_net

    for device in ("meta", "cpu"):  # shapes are enough for most operators, and cost nothing
        with torch.device(device), torch.no_grad():
            net = build_net(spec).eval()
            counter = Counter(net)
            frame_pass = getattr(net, "frame_pass", None)
            if frame_pass is None:
                return counter, f"{type(net).__name__} has no method frame_pass that runs what a frame needs"
            try:
                return counter, frame_pass()
            except RuntimeError:
                if device == "cpu":
                    raise
    raise AssertionError("unreachable")


def grouped(counter: Counter, depth: int) -> dict[str, tuple[int, int, str]]:
    """Parameters, MACs and kind of every layer, or of all whose names begin with the same ``depth`` parts."""
    rows: dict[str, tuple[int, int, str]] = {}
    for name, layer in counter.layers.items():
        if not layer.parameters and not layer.macs:
            continue
        parts = name.split(".")
        group = ".".join(parts[:depth]) if depth else name
        parameters, macs, kind = rows.get(group, (0, 0, ""))
        kind = layer.kind if group == name and not kind else "(several)"
        rows[group or "(net)"] = (parameters + layer.parameters, macs + layer.macs, kind)
    return rows


def _json(key: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"--set {key}={text}: not a JSON value; write text as '{key}=\"{text}\"'") from error


if __name__ == "__main__":
    sys.exit(main())
