"""TrackerCSRT as OpenCV sets it."""

from __future__ import annotations

from pytracking.tracker.opencv.params import CSRTParams


def parameters() -> CSRTParams:
    """OpenCV's defaults."""
    return CSRTParams()
