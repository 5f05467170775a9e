"""TrackerVit; its file is given with the weights."""

from __future__ import annotations

from pytracking.tracker.opencv.params import VitParams


def parameters() -> VitParams:
    """OpenCV's defaults."""
    return VitParams()
