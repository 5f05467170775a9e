"""DCFST-50 with the official code's values for VOT2018."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.dcfst import dcfst50
from pytracking.tracker.dcfst.params import DCFSTParams


def parameters() -> DCFSTParams:
    """ResNet-50."""
    return replace(
        dcfst50.parameters(),
        learning_rate=0.018,
        target_not_found_threshold=0.0,
        hard_negative_learning_rate=0.22,
        window_sigma_factor=0.9,
        window_min=0.3,
        scale_damp=0.6,
    )
