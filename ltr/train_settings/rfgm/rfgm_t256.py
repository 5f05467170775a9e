"""RFGM on a ViT-T: the paper's training of a net for CPUs."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.rfgm import rfgm_b256
from ltr.train_settings.rfgm.base import RFGMTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> RFGMTrainSettings:
    """No file has trained weights for its encoder, so that it learns at the rate of the head."""
    full = rfgm_b256.settings()
    return replace(
        full, net=replace(full.net, builder="rfgm_t256"), optim=replace(full.optim, encoder_lr=full.optim.head_lr)
    )
