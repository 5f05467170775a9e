"""EDSiam (Table 1): the semantic branch with the reconstruction loss."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.edcf import edcf
from ltr.train_settings.edcf.base import EDCFTrainSettings, NetSettings, build

__all__ = ["build", "settings"]


def settings() -> EDCFTrainSettings:
    """No filter branch; the template shows no surroundings."""
    paper = edcf.settings()
    return replace(paper, net=NetSettings(fine=None), data=replace(paper.data, template_size=255))
