"""Table 2, "+FT": also without the classification block, so that the filter acts on the backbone's features."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.dimp import dimp18_sd_init_ft_cls
from ltr.train_settings.dimp.base import DiMPTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> DiMPTrainSettings:
    """Steepest descent, initializer, trained backbone."""
    more = dimp18_sd_init_ft_cls.settings()
    return replace(more, net=replace(more.net, classification_block="none"))
