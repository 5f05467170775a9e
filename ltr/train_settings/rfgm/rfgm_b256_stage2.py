"""RFGM-B256, second stage by the paper: from the first, seven templates, 50 epochs."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.rfgm import rfgm_b256
from ltr.train_settings.rfgm.base import RFGMTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> RFGMTrainSettings:
    """Section 4.1; ``net.weights`` is the first stage's model. The rates, not stated, are the decayed ones."""
    first = rfgm_b256.settings()
    return replace(
        first,
        data=replace(first.data, num_template=7),
        optim=replace(first.optim, head_lr=4e-5, scorer_lr=4e-5, encoder_lr=4e-6, epochs=50),
    )
