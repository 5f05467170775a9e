"""The attribute bag that parameter files in pytracking's own style fill."""

from pytracking.utils.params import TrackerParams

__all__ = ["TrackerParams"]
