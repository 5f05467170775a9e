"""Everything one training run consists of, as ``build(settings)`` of a train setting returns it."""

from __future__ import annotations

import dataclasses
import enum
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ltr.actors.base import Actor
from ltr.admin.checkpoint import NetSpec
from ltr.admin.errors import UserError
from ltr.admin.runtime import Precision
from ltr.models.registry import build_net

log = logging.getLogger(__name__)


class Loader(Protocol):
    """What the trainer asks of a loader; ``ltr.data.loader.build_loader`` makes one.

    To train in several processes it also needs the method ``share`` of ``ltr.data.loader.TrackingLoader``.
    """

    batch_size: int

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]: ...


@dataclass(kw_only=True)
class Experiment:
    """One training run, ready to start.

    Attributes:
        spec: Registered builder of the net and its arguments, written into the model files.
        net: The net, freshly built (the trainer moves it to the device).
        actor: Forward pass and losses; its ``net`` is ``net``.
        train_loader: Batches to learn from.
        optimizer: Over the parameters of ``net``.
        max_epochs: Epochs to train.
        val_loader: Batches for the validation figure, the same in every epoch; ``None``: no validation, and
            then no ``model_best.safetensors``.
        scheduler: Stepped once after each epoch, without arguments.
        precision: ``fp32``, or ``bf16`` / ``fp16`` for automatic mixed precision (fp16 with loss scaling).
        grad_clip: Greatest 2-norm of all gradients together; ``None``: not clipped.
        ema_decay: Decay per step, in (0, 1), of a moving average of the weights, which is then what is
            validated and saved as the model; ``None``: the weights themselves.
        accumulate: Batches whose gradients make one step; the last group of an epoch may be smaller. For losses
            that are means over samples, a step is that of a batch as many times as large.
        compile: Whether net and losses are compiled for training (``torch.compile``), where that works.
        checkpoint_every: Steps between training states within an epoch; ``None``: only between epochs.
        best_figure: Name of the validation figure that picks the best model; ``loss`` is the whole loss.
        higher_is_better: Whether a higher ``best_figure`` is better.
        settings: The settings dataclass that the run was built from; recorded, and compared on resuming.
        seed: Seed of the global generators during training (dropout and the like).
        save_dtype: Type of the floating-point tensors in the model files; ``None``: as they are.
    """

    spec: NetSpec
    net: nn.Module
    actor: Actor
    train_loader: Loader
    optimizer: Optimizer
    max_epochs: int
    val_loader: Loader | None = None
    scheduler: LRScheduler | None = None
    precision: Precision = "fp32"
    grad_clip: float | None = None
    ema_decay: float | None = None
    accumulate: int = 1
    compile: bool = False
    checkpoint_every: int | None = None
    best_figure: str = "loss"
    higher_is_better: bool = False
    settings: Any = None
    seed: int = 0
    save_dtype: torch.dtype | None = None

    def __post_init__(self) -> None:
        if self.actor.net is not self.net:
            raise ValueError("the actor must hold the experiment's net: actor.net is another object")
        if self.max_epochs < 1:
            raise ValueError(f"max_epochs must be at least 1, not {self.max_epochs}")
        if self.precision not in ("fp32", "bf16", "fp16"):
            raise ValueError(f"precision must be 'fp32', 'bf16' or 'fp16', not {self.precision!r}")
        if self.grad_clip is not None and not self.grad_clip > 0:
            raise ValueError(f"grad_clip must be positive or None, not {self.grad_clip}")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"ema_decay must lie between 0 and 1 or be None, not {self.ema_decay}")
        if self.accumulate < 1:
            raise ValueError(f"accumulate must be at least 1, not {self.accumulate}")
        if self.checkpoint_every is not None and self.checkpoint_every < 1:
            raise ValueError(f"checkpoint_every must be at least 1 or None, not {self.checkpoint_every}")


def check_spec(experiment: Experiment) -> None:
    """Builds the net from its ``spec`` without memory, so that a wrong one is known before and not after training.

    A builder that is not registered is only a warning: it is the model files that cannot be loaded.

    Raises:
        ValueError: ``spec`` builds a net with other parameters.
    """
    try:
        with torch.device("meta"):
            built = build_net(experiment.spec)
    except UserError as error:
        log.warning("the model files of this run cannot be loaded again: %s", error)
        return
    except Exception:  # a builder may compute with its tensors, which "meta" ones cannot
        log.debug("the net cannot be built without memory: its spec is not checked", exc_info=True)
        return
    own = {name: tuple(value.shape) for name, value in experiment.net.state_dict().items()}
    other = {name: tuple(value.shape) for name, value in built.state_dict().items()}
    wrong = [f"{name}: {own.get(name)} here, {other.get(name)} by spec" for name in sorted(own.keys() | other.keys())
             if own.get(name) != other.get(name)]  # fmt: skip
    if wrong:
        raise ValueError(f"{experiment.spec} does not build the experiment's net: {'; '.join(wrong[:5])}")


def settings_facts(settings: Any) -> dict[str, Any]:
    """The settings as plain JSON values, nested fields joined by dots (``{"optim.lr": 0.01}``)."""
    facts: dict[str, Any] = {}
    _flatten("", settings, facts)
    return facts


def _flatten(prefix: str, value: Any, facts: dict[str, Any]) -> None:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            _flatten(f"{prefix}.{field.name}" if prefix else field.name, getattr(value, field.name), facts)
    elif isinstance(value, dict):
        for key, item in value.items():
            _flatten(f"{prefix}.{key}" if prefix else str(key), item, facts)
    elif prefix:
        facts[prefix] = _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return _plain(value.value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no name for it
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)
