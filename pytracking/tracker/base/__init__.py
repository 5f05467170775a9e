"""The base class that trackers in pytracking's own style inherit from; ours need none."""

from pytracking.tracker.base.basetracker import BaseTracker

__all__ = ["BaseTracker"]
