"""Table 1, "Init": the filter is the initializer's, without any optimisation."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.dimp import dimp18
from ltr.train_settings.dimp.base import DiMPTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> DiMPTrainSettings:
    """DiMP-18 with the target's appearance alone."""
    full = dimp18.settings()
    return replace(full, net=replace(full.net, optimizer="none"))
