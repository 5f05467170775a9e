"""Exponential moving average of a net's weights (Polyak and Juditsky 1992)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class EmaWeights:
    """Averages all floating-point parameters and buffers; other buffers are copied.

    The decay of step ``t`` is ``min(decay, (1 + t) / (10 + t))``, so that the random start is soon forgotten.

    Args:
        net: Its present state is the start of the average.
        decay: In (0, 1).
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.average = {name: value.detach().clone() for name, value in net.state_dict().items()}

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Takes the weights of one more step into the average."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in net.state_dict().items():
            mean = self.average[name]
            if mean.is_floating_point():
                mean.lerp_(value.to(mean.dtype), 1.0 - decay)
            else:
                mean.copy_(value)

    @contextmanager
    def applied(self, net: nn.Module) -> Iterator[None]:
        """Puts the average into the net and, on leaving, the very bits of its own weights back."""
        own = {name: value.detach().clone() for name, value in net.state_dict().items()}
        net.load_state_dict(self.average)
        try:
            yield
        finally:
            net.load_state_dict(own)

    def state_dict(self) -> dict[str, object]:
        """Average and step count."""
        return {"steps": self.steps, "average": self.average}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Goes on from ``state_dict``."""
        steps, average = state["steps"], state["average"]
        if not isinstance(steps, int) or not isinstance(average, dict) or average.keys() != self.average.keys():
            raise ValueError("the averaged weights in the training state are not of this net")
        self.steps = steps
        for name, value in average.items():
            self.average[name].copy_(value)
