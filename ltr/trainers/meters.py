"""Averages of the figures of an epoch that make the device wait as seldom as possible."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import torch


class NonFiniteLoss(Exception):
    """The loss of a step was NaN or infinite.

    Args:
        step: Step counted from the start of the epoch.
        values: All figures of that step.
    """

    def __init__(self, step: int, values: dict[str, float]) -> None:
        super().__init__(f"step {step}: {values}")
        self.step = step
        self.values = values

    @property
    def guilty(self) -> dict[str, float]:
        """The parts that are not finite; the whole loss only where no part explains it."""
        bad = {name: value for name, value in self.values.items() if not math.isfinite(value)}
        return {name: value for name, value in bad.items() if name != "loss"} or bad

    def listed(self) -> str:
        """The guilty parts for a message: ``loss_filter = nan``."""
        return ", ".join(f"{name} = {value}" for name, value in self.guilty.items())


class StatMeter:
    """Sample-weighted averages of named figures.

    Figures wait as tensors on their device until ``flush`` fetches all of them at once: one wait for many
    steps. The sums are Python floats, so an interrupted epoch adds up to the same bits.

    Args:
        gather: Exchanges a value for those of all processes of the training, in their order: then the averages are
            over the samples of all, and the same in all.
    """

    def __init__(self, gather: Callable[[Any], list[Any]] = lambda value: [value]) -> None:
        self._gather = gather
        self._sums: dict[str, tuple[float, int]] = {}
        self._pending: list[tuple[int, int, dict[str, torch.Tensor]]] = []
        self.last: dict[str, float] = {}

    def add(self, step: int, num_samples: int, loss: torch.Tensor, stats: dict[str, torch.Tensor]) -> None:
        """Takes the figures of one step without looking at them; ``loss`` is kept under that name.

        Raises:
            ValueError: A figure is not a scalar.
        """
        figures = {name: value.detach() for name, value in stats.items()}
        figures["loss"] = loss.detach()
        for name, value in figures.items():
            if value.numel() != 1:
                raise ValueError(f"an actor must return scalars, but '{name}' has shape {tuple(value.shape)}")
        self._pending.append((step, num_samples, figures))

    @property
    def waiting(self) -> int:
        """Steps that ``flush`` would fetch."""
        return len(self._pending)

    def flush(self) -> None:
        """Fetches the waiting figures; all processes must call it after the same step.

        Raises:
            NonFiniteLoss: For the first step whose loss is not finite; steps before it are counted.
        """
        pending, self._pending = self._pending, []
        own: list[tuple[int, int, dict[str, float]]] = []
        if pending:
            flat = torch.stack([v.reshape(()).float() for _, _, figures in pending for v in figures.values()])
            values = iter(flat.cpu().tolist())
            own = [(step, count, {name: next(values) for name in figures}) for step, count, figures in pending]
        for together in zip_longest(*self._gather(own)):  # a step of all; the main process comes last, for `last`
            for step, num_samples, figures in filter(None, reversed(together)):
                self.last = figures
                if not math.isfinite(figures["loss"]):
                    raise NonFiniteLoss(step, figures)
                for name, value in figures.items():
                    total, count = self._sums.get(name, (0.0, 0))
                    self._sums[name] = (total + value * num_samples, count + num_samples)

    def averages(self) -> dict[str, float]:
        """Average of each figure over the samples that had it."""
        self.flush()
        return {name: total / count for name, (total, count) in self._sums.items()}

    def reset(self) -> None:
        """Forgets all figures, for the next epoch."""
        self._sums, self._pending = {}, []

    def state_dict(self) -> dict[str, Any]:
        """The sums so far, in plain containers."""
        self.flush()
        return {name: [total, count] for name, (total, count) in self._sums.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from the sums of ``state_dict``."""
        self._sums = {name: (float(total), int(count)) for name, (total, count) in state.items()}
