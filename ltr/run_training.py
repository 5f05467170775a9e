"""Command line of the training: ``python ltr/run_training.py <module> <setting>`` (also ``ltr-train``)."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __package__ in (None, ""):  # run as a file: Python put ltr/ itself on the path, which is no package root
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from ltr.admin.errors import UsageError, UserError
from ltr.admin.log import run_cli, setup_logging
from ltr.admin.overrides import apply_overrides, parse_assignments
from ltr.admin.paths import workspace_dir

if TYPE_CHECKING:
    import torch

    from ltr.trainers.experiment import Experiment
    from ltr.trainers.processes import Processes
    from ltr.trainers.progress import Progress
    from ltr.trainers.trainer import TrainResult

log = logging.getLogger(__name__)


def make_parser() -> argparse.ArgumentParser:
    """The arguments of this command."""
    parser = argparse.ArgumentParser(
        prog="ltr-train",
        description="Train a tracker's net. Files go to <workspace>/<module>/<setting>/; a run that was "
        "interrupted goes on where it stopped.",
        epilog="example: ltr-train edcf edcf_tiny --set optim.lr=0.005 --device cuda --workers 8; on two GPUs: "
        "torchrun --nproc-per-node 2 --no-python ltr-train edcf edcf",
    )
    parser.add_argument("module", nargs="?", help="package of settings, or its dotted name (see --list)")
    parser.add_argument("setting", nargs="?", help="one of its settings")
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        dest="assignments",
        help="change settings, nested ones with dots",
    )
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")
    parser.add_argument("--workspace", type=Path, metavar="DIR", help="default: [paths] workspace of local.toml")
    parser.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="go on from the training state, if there is one (default)",
    )
    parser.add_argument("--seed", type=int, help="short for --set seed=N")
    parser.add_argument("--workers", type=_count, metavar="N", help="processes that load data; same data for any N")
    parser.add_argument("--threads", type=_count, metavar="N", help="CPU threads of the training process")
    parser.add_argument("--accumulate", type=_count, metavar="N", help="batches that make one step")
    parser.add_argument("--compile", action="store_true", help="compile net and losses (torch.compile)")
    parser.add_argument(
        "--visdom", nargs="?", const="http://localhost:8097", metavar="URL", help="curves to this server, too"
    )
    parser.add_argument("--list", action="store_true", help="show modules and settings, or one setting's values")
    parser.add_argument("--verbose", action="store_true", help="log more")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        The exit status: 0 done, 1 failed, 2 wrong usage, 128 + N saved and stopped on signal N.
    """
    args = make_parser().parse_args(argv)
    setup_logging(args.verbose)
    return run_cli(lambda: _list(args) if args.list else _train(args))


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0, not {value}")
    return value


def _train(args: argparse.Namespace) -> int:
    if args.module is None or args.setting is None:
        raise UsageError("a module and a setting are needed: see --list, and --help for an example")
    if int(os.environ.get("WORLD_SIZE") or 1) > 1:  # torch's own warnings are C++ traces, from every process
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from ltr.admin.runtime import set_threads
    from ltr.trainers.processes import joined

    if args.threads:
        set_threads(args.threads)
    with joined(args.device) as (processes, device):
        if not processes.is_main:  # what only they have to say is about their data
            logging.getLogger("ltr").setLevel(logging.ERROR)
            logging.getLogger("ltr.data").setLevel(logging.WARNING)
        return _train_in(args, processes, device)


def _train_in(args: argparse.Namespace, processes: Processes, device: torch.device) -> int:
    from ltr.admin.seeding import seeded
    from ltr.trainers.settings_registry import load_setting
    from ltr.trainers.trainer import Trainer

    setting = load_setting(args.module, args.setting)
    settings = _settings(setting.settings(), args)
    with seeded(getattr(settings, "seed", 0)):  # the net's random start
        experiment = setting.build(settings)
    if args.workers is not None:
        _set_workers(experiment, args.workers)
    if args.accumulate:
        experiment.accumulate = args.accumulate
    experiment.compile |= args.compile
    folder = (args.workspace or workspace_dir()) / args.module / args.setting
    with ProgressBar() if processes.is_main else nullcontext() as bar:
        show = bar.show if bar is not None else None
        result = Trainer(experiment, folder, device, args.resume, show, processes, args.visdom).run()
    if processes.is_main:
        _tell(result, experiment, folder)
    return 0 if result.signum is None else 128 + result.signum


def _tell(result: TrainResult, experiment: Experiment, folder: Path) -> None:
    if result.signum is not None:
        log.warning(
            "stopped in epoch %d of %d; the same command goes on from here",
            result.epochs + 1,
            experiment.max_epochs,
        )
        return
    log.info("trained %d epochs; models in %s", result.epochs, folder)
    if result.best is not None:
        log.info("best %s %.4g in epoch %d", experiment.best_figure, result.best, result.best_epoch)


def _settings(settings: Any, args: argparse.Namespace) -> Any:
    assignments: dict[str, Any] = dict(parse_assignments(args.assignments))
    if args.seed is not None:
        if not hasattr(settings, "seed"):
            raise UsageError(f"the settings of {args.module} {args.setting} have no field 'seed'")
        assignments["seed"] = args.seed
    return apply_overrides(settings, assignments)


def _set_workers(experiment: Any, workers: int) -> None:
    for loader in (experiment.train_loader, experiment.val_loader):
        if loader is not None:
            if not hasattr(loader, "num_workers"):
                raise UsageError(f"{type(loader).__name__} has no num_workers: --workers does not apply here")
            loader.num_workers = workers


def _list(args: argparse.Namespace) -> int:
    from ltr.trainers.experiment import settings_facts
    from ltr.trainers.settings_registry import find_module, list_modules, list_settings, load_setting

    out = sys.stdout.write
    if args.setting is not None:
        settings = _settings(load_setting(args.module, args.setting).settings(), args)
        for name, value in settings_facts(settings).items():
            out(f"{name} = {value}\n")
        return 0
    entries = [[find_module(args.module)]] if args.module else list(list_modules().values())
    for claims in entries:
        for entry in claims:
            try:
                names = " ".join(list_settings(entry)) or "(no settings)"
            except UserError as error:
                names = f"(broken: {error})"
            clash = f"  [name clash: {entry.origin}]" if len(claims) > 1 else ""
            out(f"{entry.name}: {names}{clash}\n")
    return 0


class ProgressBar:
    """A bar per pass on stderr; where that is no terminal, or tqdm is missing, a line in the log now and then."""

    def __init__(self, seconds_between_lines: float = 60.0) -> None:
        self._bar: Any = None
        self._pass: tuple[str, int] | None = None
        self._seconds = seconds_between_lines
        self._last_line = time.monotonic()
        self._stack = ExitStack()
        self._make = _tqdm()

    def __enter__(self) -> ProgressBar:
        if self._make is not None:
            from tqdm.contrib.logging import logging_redirect_tqdm

            self._stack.enter_context(logging_redirect_tqdm())
        return self

    def __exit__(self, *error: object) -> None:
        self._close()
        self._stack.close()

    def show(self, progress: Progress) -> None:
        """Draws one step."""
        title = f"{progress.phase} {progress.epoch}/{progress.max_epochs}"
        loss = "" if progress.loss is None else f"loss {progress.loss:.4g}, "
        rates = f"{progress.samples_per_second:.1f} samples/s, data wait {progress.data_wait:.0%}"
        if self._make is None:
            if time.monotonic() - self._last_line >= self._seconds:
                self._last_line = time.monotonic()
                log.info("%s: batch %d/%d, %s%s", title, progress.batch, progress.num_batches, loss, rates)
            return
        if self._pass != (progress.phase, progress.epoch):
            self._close()
            self._pass = (progress.phase, progress.epoch)
            self._bar = self._make(
                total=progress.num_batches, initial=progress.batch - 1, desc=title, unit="batch", leave=False
            )
        self._bar.set_postfix_str(f"{loss}{rates}", refresh=False)
        self._bar.update(progress.batch - self._bar.n)
        if progress.batch == progress.num_batches:
            self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _tqdm() -> Callable[..., Any] | None:
    if not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm


if __name__ == "__main__":
    sys.exit(main())
