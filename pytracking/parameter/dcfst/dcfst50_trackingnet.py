"""DCFST-50 with the official code's values for TrackingNet."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.dcfst import dcfst50
from pytracking.tracker.dcfst.params import DCFSTParams


def parameters() -> DCFSTParams:
    """ResNet-50."""
    return replace(
        dcfst50.parameters(),
        learning_rate=0.016,
        hard_negative_learning_rate=0.01,
        window_sigma_factor=1.2,
        scale_damp=0.3,
    )
