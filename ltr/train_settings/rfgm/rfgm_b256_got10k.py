"""RFGM-B256 by the protocol of GOT-10k, whose training videos alone are used; first stage."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.rfgm import rfgm_b256
from ltr.train_settings.rfgm.base import GOT10K, RFGMTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> RFGMTrainSettings:
    """100 epochs, the rates fall after 80."""
    full = rfgm_b256.settings()
    return replace(
        full, data=replace(full.data, paper=GOT10K), optim=replace(full.optim, epochs=100, step_epochs=80)
    )
