"""RFGM-B256, first stage by the paper: three templates, 300 epochs of 60,000 samples."""

from __future__ import annotations

from ltr.train_settings.rfgm.base import RFGMTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> RFGMTrainSettings:
    """Section 4.1. The paper starts from MAE: ``net.weights=mae_pretrain_vit_base.pth``."""
    return RFGMTrainSettings()
