"""EDCF: encoder-decoder correlation filter."""


def get_tracker_class() -> type:
    """The tracker's class; imported when asked for, so that listing trackers loads no network library."""
    from pytracking.tracker.edcf.tracker import EDCFTracker

    return EDCFTracker
