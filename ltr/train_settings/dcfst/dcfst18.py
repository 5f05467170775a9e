"""DCFST-18 as it was trained officially: 40 epochs of 3,000 batches, the shrinkage loss on clamped scores."""

from __future__ import annotations

from ltr.train_settings.dcfst.base import DCFSTTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> DCFSTTrainSettings:
    """Rates of 0.005 for the locator and 0.001 for the box branch, a fifth of them after every 15 epochs."""
    return DCFSTTrainSettings()
