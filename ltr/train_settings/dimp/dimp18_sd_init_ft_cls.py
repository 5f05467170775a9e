"""Table 2, "+Cls": all of DiMP-18 but the learned loss."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.dimp import dimp18
from ltr.train_settings.dimp.base import DiMPTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> DiMPTrainSettings:
    """The optimizer minimises the error of Eq. 8 in place of Eq. 2."""
    full = dimp18.settings()
    return replace(full, net=replace(full.net, residual="hinge"))
