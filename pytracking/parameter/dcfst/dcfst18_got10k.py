"""DCFST-18 with the official code's values for GOT-10k."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.dcfst import dcfst18
from pytracking.tracker.dcfst.params import DCFSTParams


def parameters() -> DCFSTParams:
    """ResNet-18."""
    return replace(
        dcfst18.parameters(),
        learning_rate=0.016,
        target_not_found_threshold=0.3,
        hard_negative_learning_rate=0.15,
        window_sigma_factor=1.3,
        scale_damp=0.3,
    )
