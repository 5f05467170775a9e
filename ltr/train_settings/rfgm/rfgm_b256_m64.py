"""Table 6, 64 tokens, and Table 4, "one template": the memory is the first frame."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.rfgm import rfgm_b256
from ltr.train_settings.rfgm.base import RFGMTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> RFGMTrainSettings:
    """One template per sample."""
    full = rfgm_b256.settings()
    return replace(full, data=replace(full.data, num_template=1))
