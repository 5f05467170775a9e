"""Table 1a, "original shrinkage loss": only scores that are too low are hard (Eq. 5 of the ECCV version)."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.dcfst import dcfst18
from ltr.train_settings.dcfst.base import DCFSTTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> DCFSTTrainSettings:
    """DCFST-18 with Eq. 5 in place of Eq. 4; the rest of the formula as the official code has it."""
    full = dcfst18.settings()
    return replace(full, loss=replace(full.loss, kind="original"))
