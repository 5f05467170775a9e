"""DCFST-18 with the official code's values for OTB2015."""

from __future__ import annotations

from pytracking.tracker.dcfst.params import DCFSTParams


def parameters() -> DCFSTParams:
    """ResNet-18."""
    return DCFSTParams(weights="dcfst18")
