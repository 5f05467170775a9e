"""TrackerNano; its files are given with the weights."""

from __future__ import annotations

from pytracking.tracker.opencv.params import NanoParams


def parameters() -> NanoParams:
    """OpenCV's defaults."""
    return NanoParams()
