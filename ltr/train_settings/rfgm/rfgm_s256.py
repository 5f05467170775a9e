"""RFGM on a ViT-S."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.rfgm import rfgm_t256
from ltr.train_settings.rfgm.base import RFGMTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> RFGMTrainSettings:
    """Trained as :mod:`rfgm_t256`."""
    tiny = rfgm_t256.settings()
    return replace(tiny, net=replace(tiny.net, builder="rfgm_s256"))
