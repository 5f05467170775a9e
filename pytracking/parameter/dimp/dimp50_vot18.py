"""DiMP-50 as the official code sets it for VOT2018."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.dimp import dimp18_vot18
from pytracking.tracker.dimp.params import DiMPParams


def parameters() -> DiMPParams:
    """The same with ResNet-50."""
    return replace(dimp18_vot18.parameters(), weights="dimp50")
