"""Table 2, "+Init": also with a backbone that stays as it was pretrained."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.dimp import dimp18_sd_init_ft
from ltr.train_settings.dimp.base import DiMPTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> DiMPTrainSettings:
    """Steepest descent and initializer on fixed features."""
    more = dimp18_sd_init_ft.settings()
    return replace(more, optim=replace(more.optim, backbone_lr=None))
