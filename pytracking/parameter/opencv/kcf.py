"""TrackerKCF as OpenCV sets it."""

from __future__ import annotations

from pytracking.tracker.opencv.params import KCFParams


def parameters() -> KCFParams:
    """OpenCV's defaults; at its threshold of 0.5 it reports most frames as lost."""
    return KCFParams()
