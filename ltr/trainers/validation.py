"""One pass over the validation batches."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch

from ltr.admin.errors import UserError
from ltr.admin.runtime import autocast
from ltr.admin.seeding import seeded
from ltr.trainers.ema import EmaWeights
from ltr.trainers.experiment import Experiment
from ltr.trainers.meters import NonFiniteLoss, StatMeter
from ltr.trainers.processes import Processes
from ltr.trainers.progress import Clock


def to_device(batch: dict[str, torch.Tensor], device: torch.device) -> tuple[dict[str, torch.Tensor], int]:
    """The batch on the device, and the number of its samples."""
    moved = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
    return moved, len(next(iter(moved.values())))


def validate(
    experiment: Experiment,
    device: torch.device,
    ema: EmaWeights | None,
    go_on: Callable[[int, Clock], bool],
    processes: Processes,
) -> dict[str, float] | None:
    """Averages of the actor's figures over ``val_loader``; moves neither the weights nor the generators.

    Args:
        experiment: Its ``val_loader`` is not ``None``.
        device: Where the net is.
        ema: The averaged weights to validate instead of the net's own.
        go_on: Called after each batch with the number of batches done; ``False`` ends the pass.
        processes: Each sees its part of the batches; all return the figures of all samples.

    Returns:
        The figures, or ``None`` where ``go_on`` ended the pass.

    Raises:
        UserError: The loss is not finite, or the figure that picks the best model is not there.
    """
    meter, clock = StatMeter(processes.gather), Clock()
    assert experiment.val_loader is not None
    experiment.actor.train(False)
    # Statistics of batches, such as those of batch norms, are each process's own until here.
    processes.copy_from_main([*experiment.net.buffers(), *(ema.average.values() if ema else ())])
    with ema.applied(experiment.net) if ema else nullcontext(), seeded(experiment.seed), torch.no_grad():
        batches = clock.batches(experiment.val_loader)
        for number in range(1, len(experiment.val_loader) + 1):
            batch = next(batches, None)
            if batch is not None:  # the last batch may be too small for a part to each process
                batch, count = to_device(batch, device)
                with autocast(device, experiment.precision):
                    loss, stats = experiment.actor(batch)
                meter.add(number, count, loss, stats)
                clock.samples += count * processes.world
            if not go_on(number, clock):
                return None
        next(batches, None)  # the loader sees its end
        try:
            figures = meter.averages()
        except NonFiniteLoss as bad:
            raise UserError(
                f"the validation loss is not finite ({bad.listed()}); the last good training state is "
                "kept. Lower the learning rate, clip gradients, or use precision fp32."
            ) from None
    if experiment.best_figure not in figures:
        raise UserError(f"best_figure '{experiment.best_figure}' is not among the actor's figures: {sorted(figures)}")
    return figures
