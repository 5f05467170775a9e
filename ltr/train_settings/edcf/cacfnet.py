"""CACFNet (EDCF's Table 1): the fine-grained branch with the context-aware filter, trained alone."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.edcf import edcf
from ltr.train_settings.edcf.base import EDCFTrainSettings, NetSettings, build

__all__ = ["build", "settings"]


def settings() -> EDCFTrainSettings:
    """No semantic branch, no decoder."""
    paper = edcf.settings()
    return replace(paper, net=NetSettings(semantic=False, decoder=False))
