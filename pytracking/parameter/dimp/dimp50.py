"""DiMP-50 with the official code's values, which are those of DiMP-18."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.dimp import dimp18
from pytracking.tracker.dimp.params import DiMPParams


def parameters() -> DiMPParams:
    """ResNet-50."""
    return replace(dimp18.parameters(), weights="dimp50")
