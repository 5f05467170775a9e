"""DiMP-50 by the paper: a ResNet-50, smaller batches, lower rates for the backbone and the box branch."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.dimp import dimp18
from ltr.train_settings.dimp.base import DiMPTrainSettings, NetSettings, build

__all__ = ["build", "settings"]


def settings() -> DiMPTrainSettings:
    """The classification block is one convolution to 512 channels."""
    paper = dimp18.settings()
    return replace(
        paper,
        net=NetSettings(builder="dimp50", classification_block="conv"),
        data=replace(paper.data, batch_size=10),
        optim=replace(paper.optim, box_lr=2e-4, backbone_lr=2e-5),
    )
