"""SiamFC, the first row of EDCF's Table 1: the semantic branch alone."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.edcf import edcf
from ltr.train_settings.edcf.base import EDCFTrainSettings, NetSettings, build

__all__ = ["build", "settings"]


def settings() -> EDCFTrainSettings:
    """No filter branch, no decoder; the template shows no surroundings."""
    paper = edcf.settings()
    return replace(paper, net=NetSettings(fine=None, decoder=False), data=replace(paper.data, template_size=255))
