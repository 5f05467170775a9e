"""An actor: forward pass and losses of one kind of tracker on one batch."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn


class Actor(ABC):
    """Ties a net to its losses; the trainer knows nothing else of either.

    Args:
        net: The net to train. The trainer reads it as ``actor.net``.
    """

    def __init__(self, net: nn.Module) -> None:
        self.net = net

    @abstractmethod
    def __call__(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Runs the net on a batch.

        Args:
            batch: Batch-first tensors on the net's device, as the processing named them.

        Returns:
            The loss, a scalar that can be differentiated, and the figures to log by name: detached scalars,
            means over the batch, left on the device (``.item()`` would make the device wait). Each part of
            the loss should be among them, so that a loss that is not finite can be traced to its part.
        """

    def to(self, device: torch.device) -> None:
        """Moves the net; override where the losses hold tensors of their own."""
        self.net.to(device)

    def train(self, mode: bool = True) -> None:
        """Switches between training and evaluation mode."""
        self.net.train(mode)

    def set_epoch(self, epoch: int) -> None:  # noqa: B027 - most losses have no such plan
        """Told before each epoch (from 0), for losses whose weights follow a plan."""
