"""Table 7, one stage: relevance attention in block 10 alone."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.rfgm import rfgm_b256
from ltr.train_settings.rfgm.base import RFGMTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> RFGMTrainSettings:
    """It keeps 0.9 of the memory."""
    full = rfgm_b256.settings()
    return replace(full, net=replace(full.net, stages=1))
