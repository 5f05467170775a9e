"""DCFST: feature embeddings for ridge regression."""


def get_tracker_class() -> type:
    """The tracker's class; imported when asked for, so that listing trackers loads no network library."""
    from pytracking.tracker.dcfst.tracker import DCFSTTracker

    return DCFSTTracker
