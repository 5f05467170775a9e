"""RFGM-B256 by the protocol of GOT-10k, second stage."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.rfgm import rfgm_b256_stage2
from ltr.train_settings.rfgm.base import GOT10K, RFGMTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> RFGMTrainSettings:
    """30 epochs; ``net.weights`` is the first stage's model."""
    full = rfgm_b256_stage2.settings()
    return replace(full, data=replace(full.data, paper=GOT10K), optim=replace(full.optim, epochs=30))
