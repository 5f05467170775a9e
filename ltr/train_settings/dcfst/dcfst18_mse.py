"""Table 1a, "MSE": all proposals count alike."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.dcfst import dcfst18
from ltr.train_settings.dcfst.base import DCFSTTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> DCFSTTrainSettings:
    """DCFST-18 with the mean squared error of the scores."""
    full = dcfst18.settings()
    return replace(full, loss=replace(full.loss, kind="mse"))
