"""Table 1, "GD": gradient descent with a learned step length for every coefficient of the filter."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.dimp import dimp18
from ltr.train_settings.dimp.base import DiMPTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> DiMPTrainSettings:
    """DiMP-18 with Eq. 3 in place of Eq. 5."""
    full = dimp18.settings()
    return replace(full, net=replace(full.net, optimizer="gradient_descent"))
