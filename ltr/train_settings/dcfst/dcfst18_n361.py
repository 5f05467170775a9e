"""Table 1b, N = 361: a grid of 19 x 19 proposals."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.dcfst import dcfst18
from ltr.train_settings.dcfst.base import DCFSTTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> DCFSTTrainSettings:
    """DCFST-18 with steps of 12.8 pixels between proposals."""
    full = dcfst18.settings()
    return replace(full, net=replace(full.net, grid_size=19))
