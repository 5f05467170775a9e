"""EDCF by the paper: ImageNet VID, the multi-task loss of Eq. 15, SGD from 1e-2 to 1e-5."""

from __future__ import annotations

from ltr.actors.edcf import EDCFLoss
from ltr.train_settings.edcf.base import DataSettings, EDCFTrainSettings, OptimSettings, build

__all__ = ["build", "settings"]


def settings() -> EDCFTrainSettings:
    """Section 4.1; what it leaves open is SiamFC's (batch, epochs, pairs per epoch, balanced labels)."""
    return EDCFTrainSettings(
        data=DataSettings(source="imagenet_vid"),
        loss=EDCFLoss(),
        optim=OptimSettings(optimizer="sgd", lr=1e-2, final_lr=1e-5, epochs=50),
    )
