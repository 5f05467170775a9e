"""Table 2, "SD", the baseline: also without the initializer, so that the filter starts from zero."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.dimp import dimp18_sd_init
from ltr.train_settings.dimp.base import DiMPTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> DiMPTrainSettings:
    """Steepest descent on fixed features."""
    more = dimp18_sd_init.settings()
    return replace(more, net=replace(more.net, initializer="zero"))
