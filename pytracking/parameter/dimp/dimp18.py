"""DiMP-18 with the official code's values."""

from __future__ import annotations

from pytracking.tracker.dimp.params import DiMPParams


def parameters() -> DiMPParams:
    """ResNet-18."""
    return DiMPParams(weights="dimp18")
