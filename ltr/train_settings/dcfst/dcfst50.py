"""DCFST-50 as it was trained officially: a ResNet-50, frames up to 60 apart, 50 epochs of 2,000 batches."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.dcfst import dcfst18
from ltr.train_settings.dcfst.base import DCFSTTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> DCFSTTrainSettings:
    """The rates and their schedule are those of DCFST-18."""
    other = dcfst18.settings()
    return replace(
        other,
        net=replace(other.net, builder="dcfst50"),
        data=replace(other.data, max_gap=60, samples_per_epoch=96_000),
        optim=replace(other.optim, epochs=50),
    )
