"""Command line that turns official checkpoints into model files: ``python -m ltr.admin.convert FILE [OUT]``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from ltr.admin.errors import UserError, unknown_name
from ltr.admin.foreign import SUFFIXES
from ltr.admin.log import run_cli, setup_logging

log = logging.getLogger(__name__)


def make_parser() -> argparse.ArgumentParser:
    """The arguments of this command."""
    parser = argparse.ArgumentParser(
        prog="ltr-convert",
        description="Turn a checkpoint of the official code (torch.save) into a model file. Nothing in the checkpoint "
        "is executed: its tensors are read, and their names and shapes must be those of the net.",
        epilog="example: ltr-convert dimp18.pth networks/dimp18.safetensors",
    )
    parser.add_argument("source", type=Path, help="checkpoint, such as dimp18.pth or DiMPnet_ep0050.pth.tar")
    parser.add_argument("target", type=Path, nargs="?",
                        help="file to write; default: beside the checkpoint, with the ending .safetensors")
    parser.add_argument("--net", help="builder of the net, for files that do not say it (a bare state dictionary)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status (0 done, 1 failed, 2 wrong usage)."""
    args = make_parser().parse_args(argv)
    setup_logging()
    return run_cli(lambda: _convert(args.source, args.target, args.net))


def _convert(source: Path, target: Path | None, net_name: str | None) -> int:
    from ltr.admin.checkpoint import fill_net, read_model, save_model
    from ltr.models.registry import list_builders

    if net_name is not None and net_name not in list_builders():
        raise unknown_name("net builder", net_name, list_builders())
    if target is None:
        target = _beside(source)
    elif target.exists() and source.exists() and target.samefile(source):
        raise UserError(f"{target} is the checkpoint itself: name another file to write")
    model = read_model(source, builder=net_name, overrule=True)
    made_by = model.facts.get("constructor", {}).get("name", "a function it does not name")
    values = sum(tensor.numel() for tensor in model.tensors.values())
    log.info("%s: %s built by %s, epoch %s, %d tensors with %.2f million values", source.name,
             model.facts.get("net_type", "net"), made_by, model.facts.get("epoch", "unknown"),
             len(model.tensors), values / 1e6)  # fmt: skip
    net = fill_net(source, model)
    log.info("it is net %s: all names and shapes fit", model.spec.builder)
    save_model(target, net, model.spec, model.facts)
    log.info("wrote %s, %.2f MB", target, target.stat().st_size / 1e6)
    return 0


def _beside(source: Path) -> Path:
    ending = next((ending for ending in SUFFIXES if source.name.endswith(ending)), source.suffix)
    target = source.with_name(source.name.removesuffix(ending) + ".safetensors")
    if target.exists():
        raise UserError(f"{target} exists already: name the file to write, ltr-convert {source} OUT.safetensors")
    return target


if __name__ == "__main__":
    sys.exit(main())
