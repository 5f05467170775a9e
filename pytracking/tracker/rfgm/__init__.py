"""RFGM: relevant features from a global representation memory; and OSTrack, which it is built on."""


def get_tracker_class() -> type:
    """The tracker's class; imported when asked for, so that listing trackers loads no network library."""
    from pytracking.tracker.rfgm.tracker import RFGMTracker

    return RFGMTracker
