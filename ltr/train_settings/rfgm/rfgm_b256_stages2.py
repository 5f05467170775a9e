"""Table 7, two stages: relevance attention in blocks 7 and 10."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.rfgm import rfgm_b256
from ltr.train_settings.rfgm.base import RFGMTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> RFGMTrainSettings:
    """They keep 0.9 and 0.8 of the memory."""
    full = rfgm_b256.settings()
    return replace(full, net=replace(full.net, stages=2))
