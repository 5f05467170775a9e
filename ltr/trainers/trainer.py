"""The training loop: epochs of steps, a validation figure, model files, and a state to go on from."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from ltr.admin.checkpoint import save_model
from ltr.admin.errors import UserError
from ltr.admin.files import writable_dir
from ltr.admin.runtime import resolve_device
from ltr.admin.seeding import seeded
from ltr.trainers import workdir as files
from ltr.trainers.ema import EmaWeights
from ltr.trainers.experiment import Experiment, check_spec, settings_facts
from ltr.trainers.logs import EpochLog, ScalarWriter
from ltr.trainers.meters import NonFiniteLoss, StatMeter
from ltr.trainers.processes import Processes
from ltr.trainers.progress import Clock, Progress
from ltr.trainers.signals import StopRequest
from ltr.trainers.state import TrainState, check_finite
from ltr.trainers.stepper import Stepper
from ltr.trainers.validation import validate
from ltr.trainers.visdom_curves import VisdomCurves

log = logging.getLogger(__name__)

FLUSH_EVERY = 20  # steps whose figures wait on an accelerator until they are fetched together


@dataclass(frozen=True)
class TrainResult:
    """How a run ended.

    Attributes:
        epochs: Epochs done, those of earlier runs included.
        best: Best validation figure, or ``None`` without validation.
        best_epoch: Its epoch, from 1.
        signum: The signal that stopped the run, or ``None`` where it went to its end.
    """

    epochs: int
    best: float | None
    best_epoch: int | None
    signum: int | None = None


class Trainer:
    """Trains an experiment and leaves its files in ``workdir``.

    After each epoch: ``log.csv``, ``model_last.safetensors``, with validation ``model_best.safetensors``, and
    last ``train_state.pt``, from which the same call goes on exactly where it was: on a CPU bit for bit.

    Args:
        experiment: What to train.
        workdir: Folder of this run; made if need be.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps`` or a ``torch.device``.
        resume: Go on from ``train_state.pt`` where there is one; otherwise earlier files are moved into
            ``previous_NNN`` and training starts anew.
        progress: Called after every batch.
        processes: Those that train together, of which this is one; the loaders' batches are for each of them.
        visdom: Address of a Visdom server for the curves.

    Raises:
        UserError: No such device, no right to write into ``workdir``, or a loader that several processes cannot
            share.
    """

    def __init__(
        self,
        experiment: Experiment,
        workdir: str | Path,
        device: str | torch.device = "auto",
        resume: bool = True,
        progress: Callable[[Progress], None] | None = None,
        processes: Processes | None = None,
        visdom: str | None = None,
    ) -> None:
        self.experiment = experiment
        self.processes = processes or Processes()
        self.workdir = writable_dir(Path(workdir)) if self.processes.is_main else Path(workdir)
        self.device = resolve_device(device)
        self.resume = resume
        self.progress = progress
        share_loaders(experiment, self.processes)
        experiment.actor.to(self.device)
        scaler = torch.amp.GradScaler(self.device.type, enabled=experiment.precision == "fp16")
        self._ema = EmaWeights(experiment.net, experiment.ema_decay) if experiment.ema_decay else None
        self._meter = StatMeter(self.processes.gather)
        self._state = TrainState(experiment, scaler, self._ema, self._meter, self.processes)
        self._stepper = Stepper(experiment, self.device, scaler, self._ema, self.processes)
        self._stop = StopRequest()
        self._signum: int | None = None
        self._visdom: VisdomCurves | None = None
        if visdom is not None and self.processes.is_main:
            self._visdom = VisdomCurves(visdom, "_".join(self.workdir.resolve().parts[-2:]))

    def run(self) -> TrainResult:
        """Trains up to ``max_epochs``, or until SIGTERM or SIGINT, which save and stop.

        Raises:
            UserError: The loss or the weights became NaN or infinite (the last good state is kept), the state
                in ``workdir`` is of another experiment, or a file could not be read or written.
        """
        with seeded(self.processes.seed(self.experiment.seed)), StopRequest() as self._stop, ExitStack() as stack:
            self._begin()
            position = self._state.position
            if self.processes.is_main:
                self._log = EpochLog(self.workdir / files.LOG, position.epoch)
                self._scalars = ScalarWriter(self.workdir / files.TENSORBOARD, position.step)
                stack.callback(self._scalars.close)
            while position.epoch < self.experiment.max_epochs and not self._stops():
                self._epoch()
        return TrainResult(position.epoch, position.best, position.best_epoch, self._signum)

    def _begin(self) -> None:
        check_spec(self.experiment)
        if not self.resume and self.processes.is_main:
            files.set_aside(self.workdir)
        if self._state.load(self.workdir / files.STATE):
            position = self._state.position
            log.info("going on in %s after %d epochs, %d batches", self.workdir, position.epoch, position.batch)
        else:
            log.info("training in %s on %s", self.workdir, self.device)

    def _epoch(self) -> None:
        e, position = self.experiment, self._state.position
        e.actor.set_epoch(position.epoch)
        self._train()
        validation: dict[str, float] | None = {}
        if not self._stops() and e.val_loader is not None:
            batches = len(e.val_loader)
            validation = validate(
                e,
                self.device,
                self._ema,
                lambda done, clock: self._report("val", done, batches, clock),
                self.processes,
            )
        if self._stops() or validation is None:  # a validation that was cut short is made anew on resuming
            self._state.save(self.workdir / files.STATE)
            return
        self._finish_epoch(validation)

    def _train(self) -> None:
        e, position = self.experiment, self._state.position
        e.actor.train(True)
        e.train_loader.set_epoch(position.epoch, position.batch)
        clock = Clock((position.seconds, position.data_seconds, position.samples))
        num_batches = len(e.train_loader)
        group = in_group = 0
        e.optimizer.zero_grad(set_to_none=True)
        for batch in clock.batches(e.train_loader):
            if in_group == 0:  # the last group of an epoch may be a smaller one
                group = min(e.accumulate, num_batches - position.batch)
            in_group += 1
            clock.samples += self._learn(batch, group, in_group == group) * self.processes.world
            position.batch += 1
            if in_group == group:
                self._stepper.step()
                position.step += 1
            go_on = self._report("train", position.batch, num_batches, clock)
            if in_group < group:
                continue
            in_group = 0
            if not go_on:
                break
            if e.checkpoint_every and position.step % e.checkpoint_every == 0 and position.batch < num_batches:
                position.seconds, position.data_seconds, position.samples = clock.totals()
                self._flush()
                self._state.save(self.workdir / files.STATE)
        position.seconds, position.data_seconds, position.samples = clock.totals()
        self._flush()

    def _learn(self, batch: dict[str, torch.Tensor], group: int, last: bool) -> int:
        """Takes the gradients of one batch of a group; returns the number of its samples."""
        with self._stepper.alone(last):
            loss, stats, count = self._stepper.forward(batch)
            self._meter.add(self._state.position.batch, count, loss, stats)
            if self.device.type == "cpu" or self._meter.waiting >= FLUSH_EVERY:
                self._flush()
            self._stepper.backward(loss, group)
        return count

    def _flush(self) -> None:
        """Fetches the waiting figures, and refuses a loss that is not finite."""
        try:
            self._meter.flush()
        except NonFiniteLoss as bad:
            e, position = self.experiment, self._state.position
            size = e.train_loader.batch_size * self.processes.world
            raise UserError(
                f"the loss is not finite: {bad.listed()} in epoch {position.epoch + 1}, batch {bad.step + 1} "
                f"(samples {bad.step * size} to {bad.step * size + size - 1} of the epoch). The last good "
                "training state is kept. Lower the learning rate, clip gradients, or use precision fp32."
            ) from None

    def _report(self, phase: str, batch: int, num_batches: int, clock: Clock) -> bool:
        """Tells the progress callback; returns whether to go on, in all processes the same."""
        if self.progress is not None:
            loss = self._meter.last.get("loss") if phase == "train" else None
            self.progress(
                Progress(
                    phase,
                    self._state.position.epoch + 1,
                    self.experiment.max_epochs,
                    batch,
                    num_batches,
                    loss,
                    *clock.rates(),
                )
            )
        return not self._stops()

    def _stops(self) -> bool:
        """Whether any process was asked to stop. All must ask at the same points, so that they stop together."""
        self._signum = self.processes.greatest(self._stop.signum or 0) or None
        return self._signum is not None

    def _finish_epoch(self, validation: dict[str, float]) -> None:
        """Log, models and, last of all, the state: whatever a kill leaves half done is done again."""
        e, position = self.experiment, self._state.position
        check_finite(e.net, position.step)
        training = self._meter.averages()
        rates = [float(group["lr"]) for group in e.optimizer.param_groups]
        if e.scheduler is not None:
            e.scheduler.step()
        position.epoch += 1
        figures = {f"train_{name}": value for name, value in training.items()}
        figures.update({f"val_{name}": value for name, value in validation.items()})
        shown = rates if len(set(rates)) > 1 else rates[:1]
        figures.update({"lr" if i == 0 else f"lr_{i}": rate for i, rate in enumerate(shown)})
        if self.processes.is_main:
            self._write_log(figures)
        self._save_models(figures, validation)
        position.batch, position.samples, position.seconds, position.data_seconds = 0, 0, 0.0, 0.0
        self._meter.reset()
        self._state.save(self.workdir / files.STATE)
        log.info(
            "epoch %d/%d: %s",
            position.epoch,
            e.max_epochs,
            ", ".join(f"{name} {value:.4g}" for name, value in figures.items()),
        )

    def _write_log(self, figures: dict[str, float]) -> None:
        position = self._state.position
        seconds = max(position.seconds, 1e-9)
        self._log.append(
            {
                "epoch": position.epoch,
                "step": position.step,
                **figures,
                "seconds": position.seconds,
                "samples_per_s": position.samples / seconds,
                "data_wait": position.data_seconds / seconds,
            }
        )
        self._scalars.write(figures, position.step)
        if self._visdom is not None:
            self._visdom.draw(self._log.path)

    def _save_models(self, figures: dict[str, float], validation: dict[str, float]) -> None:
        e, position = self.experiment, self._state.position
        names = [files.LAST]
        if validation:
            figure = validation[e.best_figure]
            if not math.isfinite(figure):
                log.warning("validation figure %s is %s: it cannot be the best", e.best_figure, figure)
            elif position.best is None or (figure > position.best if e.higher_is_better else figure < position.best):
                position.best, position.best_epoch = figure, position.epoch
                names.append(files.BEST)
        if not self.processes.is_main:
            return
        facts = {
            "epoch": position.epoch,
            "step": position.step,
            "seed": e.seed,
            "metrics": settings_facts(figures),
            "settings": settings_facts(e.settings),
        }
        with self._ema.applied(e.net) if self._ema else nullcontext():
            for name in names:
                save_model(self.workdir / name, e.net, e.spec, facts, dtype=e.save_dtype)


def share_loaders(experiment: Experiment, processes: Processes) -> None:
    """Gives each process its part of every batch.

    Raises:
        UserError: A loader cannot be shared, or its epochs are too short for so many processes.
    """
    if processes.world == 1:
        return
    for loader in (experiment.train_loader, experiment.val_loader):
        if loader is None:
            continue
        share = getattr(loader, "share", None)
        if share is None:
            raise UserError(f"{type(loader).__name__} has no method share(): train in a single process")
        share(processes.rank, processes.world, even=loader is experiment.train_loader)
