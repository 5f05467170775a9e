"""TrackerKCF that never reports the target as lost."""

from __future__ import annotations

from pytracking.tracker.opencv.params import KCFParams


def parameters() -> KCFParams:
    """OpenCV's defaults, but for the threshold."""
    return KCFParams(detect_thresh=0.0)
