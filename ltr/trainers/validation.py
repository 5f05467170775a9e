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
) -> dict[str, float] | None:
    """Averages of the actor's figures over ``val_loader``; moves neither the weights nor the generators.

    Args:
        experiment: Its ``val_loader`` is not ``None``.
        device: Where the net is.
        ema: The averaged weights to validate instead of the net's own.
        go_on: Called after each batch with the number of batches done; ``False`` ends the pass.

    Returns:
        The figures, or ``None`` where ``go_on`` ended the pass.

    Raises:
        UserError: The loss is not finite, or the figure that picks the best model is not there.
    """
    meter, clock = StatMeter(), Clock()
    assert experiment.val_loader is not None
    experiment.actor.train(False)
    with ema.applied(experiment.net) if ema else nullcontext(), seeded(experiment.seed), torch.no_grad():
        for number, batch in enumerate(clock.batches(experiment.val_loader)):
            batch, count = to_device(batch, device)
            with autocast(device, experiment.precision):
                loss, stats = experiment.actor(batch)
            meter.add(number, count, loss, stats)
            clock.samples += count
            if not go_on(number + 1, clock):
                return None
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
