"""One step of the optimizer: forward and backward passes of its batches, clipping, and the averaged weights."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch.nn.parallel import DistributedDataParallel

from ltr.admin.runtime import autocast, compile_if_possible
from ltr.trainers.ema import EmaWeights
from ltr.trainers.experiment import Experiment
from ltr.trainers.processes import Processes
from ltr.trainers.validation import to_device


class Stepper:
    """Adds up the gradients of a group of batches and steps once, for ``Experiment.accumulate``.

    The gradient of a group is the mean over its batches, so for losses that are means over samples it is that of
    one large batch.

    Args:
        experiment: What is trained; its net is on the device.
        device: Where the net is.
        scaler: The loss scaler; it does nothing unless enabled.
        ema: The averaged weights, or ``None``.
        processes: Those that share the work; gradients are the mean over them.
    """

    def __init__(
        self,
        experiment: Experiment,
        device: torch.device,
        scaler: torch.amp.GradScaler,
        ema: EmaWeights | None,
        processes: Processes,
    ) -> None:
        self.experiment = experiment
        self.device = device
        self.scaler = scaler
        self.ema = ema
        self._parallel = processes.parallel(experiment.actor)
        self._actor = compile_if_possible(self._parallel, device) if experiment.compile else self._parallel

    def alone(self, last: bool) -> AbstractContextManager[None]:
        """For both passes of a batch: processes exchange gradients at the last batch of a group only."""
        if last or not isinstance(self._parallel, DistributedDataParallel):
            return nullcontext()
        return self._parallel.no_sync()

    def forward(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor], int]:
        """The loss of a batch, its figures, and the number of its samples."""
        batch, count = to_device(batch, self.device)
        with autocast(self.device, self.experiment.precision):
            loss, stats = self._actor(batch)
        return loss, stats, count

    def backward(self, loss: torch.Tensor, group: int) -> None:
        """Adds the gradients of one of a group's batches.

        Args:
            loss: What ``forward`` returned.
            group: Batches in the group.
        """
        self.scaler.scale(loss / group if group > 1 else loss).backward()

    def step(self) -> None:
        """Changes the weights by the gradients of the group, and forgets these."""
        e = self.experiment
        if e.grad_clip is not None:
            self.scaler.unscale_(e.optimizer)
            torch.nn.utils.clip_grad_norm_(e.net.parameters(), e.grad_clip)
        self.scaler.step(e.optimizer)
        self.scaler.update()
        e.optimizer.zero_grad(set_to_none=True)
        if self.ema is not None:
            self.ema.update(e.net)
