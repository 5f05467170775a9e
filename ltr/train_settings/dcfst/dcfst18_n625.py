"""Table 1b, N = 625: a grid of 25 x 25 proposals."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.dcfst import dcfst18
from ltr.train_settings.dcfst.base import DCFSTTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> DCFSTTrainSettings:
    """DCFST-18 with steps of 9.6 pixels between proposals."""
    full = dcfst18.settings()
    return replace(full, net=replace(full.net, grid_size=25))
