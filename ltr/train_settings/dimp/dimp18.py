"""DiMP-18 by the paper: sets of 3 + 3 frames, all iterates of the filter judged, Adam for 50 epochs."""

from __future__ import annotations

from ltr.train_settings.dimp.base import DiMPTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> DiMPTrainSettings:
    """Section 3.6 and what the official training adds to it."""
    return DiMPTrainSettings()
