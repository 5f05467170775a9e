"""TrackerDaSiamRPN; its files are given with the weights."""

from __future__ import annotations

from pytracking.tracker.opencv.params import DaSiamRPNParams


def parameters() -> DaSiamRPNParams:
    """OpenCV's defaults."""
    return DaSiamRPNParams()
