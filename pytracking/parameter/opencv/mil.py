"""TrackerMIL as OpenCV sets it."""

from __future__ import annotations

from pytracking.tracker.opencv.params import MILParams


def parameters() -> MILParams:
    """OpenCV's defaults."""
    return MILParams()
