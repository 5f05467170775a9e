"""Table 6, 448 tokens: a memory of seven templates, from the first stage on."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.rfgm import rfgm_b256
from ltr.train_settings.rfgm.base import RFGMTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> RFGMTrainSettings:
    """Seven templates per sample."""
    full = rfgm_b256.settings()
    return replace(full, data=replace(full.data, num_template=7))
