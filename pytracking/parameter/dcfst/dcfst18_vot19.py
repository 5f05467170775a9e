"""DCFST-18 with the official code's values for VOT2019."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.dcfst import dcfst18
from pytracking.tracker.dcfst.params import DCFSTParams


def parameters() -> DCFSTParams:
    """ResNet-18."""
    return replace(
        dcfst18.parameters(),
        learning_rate=0.018,
        target_not_found_threshold=0.1,
        hard_negative_threshold=0.15,
        hard_negative_learning_rate=0.16,
        window_sigma_factor=0.8,
        window_min=0.4,
        scale_damp=0.5,
    )
