"""How fast a training goes, for the log and for whoever draws a progress bar."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Progress:
    """One step of training or validation.

    Attributes:
        phase: ``train`` or ``val``.
        epoch: The present epoch, from 1.
        max_epochs: Epochs in all.
        batch: Batches done in this pass.
        num_batches: Batches of this pass.
        loss: The newest loss that is known (an accelerator is not made to wait for it), or ``None``.
        samples_per_second: Since this process began the pass.
        data_wait: Share of that time spent waiting for the loader, in [0, 1].
    """

    phase: str
    epoch: int
    max_epochs: int
    batch: int
    num_batches: int
    loss: float | None
    samples_per_second: float
    data_wait: float


class Clock:
    """Time, time spent waiting for data, and samples of one pass.

    Args:
        before: What an earlier process spent on the same pass: seconds, seconds of waiting, samples.
    """

    def __init__(self, before: tuple[float, float, int] = (0.0, 0.0, 0)) -> None:
        self.samples = 0
        self._begin = time.perf_counter()
        self._waited = 0.0
        self._before = before

    def batches(self, loader: Iterable[dict[str, torch.Tensor]]) -> Iterator[dict[str, torch.Tensor]]:
        """The loader's batches; the time until each arrives counts as waiting."""
        since = time.perf_counter()
        for batch in loader:
            self._waited += time.perf_counter() - since
            yield batch
            since = time.perf_counter()
        self._waited += time.perf_counter() - since

    def totals(self) -> tuple[float, float, int]:
        """Seconds, seconds of waiting and samples of the pass, earlier processes included."""
        seconds = time.perf_counter() - self._begin
        return self._before[0] + seconds, self._before[1] + self._waited, self._before[2] + self.samples

    def rates(self) -> tuple[float, float]:
        """Samples per second and share of waiting, of this process."""
        seconds = max(time.perf_counter() - self._begin, 1e-9)
        return self.samples / seconds, self._waited / seconds
