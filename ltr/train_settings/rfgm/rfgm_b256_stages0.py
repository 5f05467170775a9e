"""Table 5, "attention", and Table 7 without stages: no relevance attention."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.rfgm import rfgm_b256
from ltr.train_settings.rfgm.base import RFGMTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> RFGMTrainSettings:
    """All memory tokens stay; the rest is as in :mod:`rfgm_b256`."""
    full = rfgm_b256.settings()
    return replace(full, net=replace(full.net, stages=0))
