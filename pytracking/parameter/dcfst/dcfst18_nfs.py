"""DCFST-18 with the official code's values for Need for Speed."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.dcfst import dcfst18
from pytracking.tracker.dcfst.params import DCFSTParams


def parameters() -> DCFSTParams:
    """ResNet-18."""
    return replace(
        dcfst18.parameters(),
        learning_rate=0.016,
        window_sigma_factor=2.2,
        window_min=0.8,
        scale_damp=0.3,
    )
