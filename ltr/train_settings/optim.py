"""What the settings of several trackers say alike about optimisation: the schedule, and how the trainer runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.optim import Optimizer

from ltr.admin.overrides import check_range


@dataclass(frozen=True, kw_only=True)
class ScheduleSettings:
    """How learning rates fall, and how long and in which precision is trained. Trackers add their rates.

    Raises:
        ValueError: a value is out of its range.
    """

    schedule: Literal["step", "cosine"] = "step"
    step_epochs: int = 15
    gamma: float = 0.2  # factor after every ``step_epochs`` epochs
    final_factor: float = 0.01  # where the cosine ends
    warmup_epochs: int = 0
    epochs: int = 50
    grad_clip: float | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    ema_decay: float | None = None
    checkpoint_every: int | None = 500

    def __post_init__(self) -> None:
        name = type(self).__name__
        for field in ("gamma", "final_factor"):
            check_range(name, field, getattr(self, field), 0, 1, low_open=True)
        check_range(name, "warmup_epochs", self.warmup_epochs, 0)
        for field in ("step_epochs", "epochs"):
            check_range(name, field, getattr(self, field), 1)
        if self.grad_clip is not None:
            check_range(name, "grad_clip", self.grad_clip, 0, low_open=True)
        if self.ema_decay is not None:
            check_range(name, "ema_decay", self.ema_decay, 0, 1, low_open=True, high_open=True)
        if self.checkpoint_every is not None:
            check_range(name, "checkpoint_every", self.checkpoint_every, 1)


def rate(optim: ScheduleSettings, epoch: int) -> float:
    """Factor on the first learning rates: a linear warm-up, then steps or a cosine."""
    if epoch < optim.warmup_epochs:
        return (epoch + 1) / (optim.warmup_epochs + 1)
    if optim.schedule == "step":
        return optim.gamma ** (epoch // optim.step_epochs)
    progress = min(1.0, (epoch - optim.warmup_epochs) / max(1, optim.epochs - 1 - optim.warmup_epochs))
    return optim.final_factor + (1 - optim.final_factor) * 0.5 * (1 + math.cos(math.pi * progress))


def running(optim: ScheduleSettings, optimizer: Optimizer) -> dict[str, Any]:
    """What an ``Experiment`` takes of these settings: the optimizer, its schedule, length and precision."""
    return {
        "optimizer": optimizer,
        "scheduler": torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: rate(optim, epoch)),
        "max_epochs": optim.epochs,
        "precision": optim.precision,
        "grad_clip": optim.grad_clip,
        "ema_decay": optim.ema_decay,
        "checkpoint_every": optim.checkpoint_every,
    }
