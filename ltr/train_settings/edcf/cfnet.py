"""A net like CFNet (EDCF's Table 1): second-layer features, a plain correlation filter without contexts."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.edcf import edcf
from ltr.train_settings.edcf.base import EDCFTrainSettings, NetSettings, build

__all__ = ["build", "settings"]


def settings() -> EDCFTrainSettings:
    """32 channels at stride 4, as CFNet's two-layer variant has; no semantic branch."""
    paper = edcf.settings()
    return replace(
        paper,
        net=NetSettings(fine="conv2", fine_channels=32, semantic=False, decoder=False),
        data=replace(paper.data, template_size=255),
        loss=replace(paper.loss, lambda2=0.0),
    )
