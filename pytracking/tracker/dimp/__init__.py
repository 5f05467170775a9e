"""DiMP: discriminative model prediction."""


def get_tracker_class() -> type:
    """The tracker's class; imported when asked for, so that listing trackers loads no network library."""
    from pytracking.tracker.dimp.tracker import DiMPTracker

    return DiMPTracker
