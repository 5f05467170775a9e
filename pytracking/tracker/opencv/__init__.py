"""OpenCV's own trackers."""


def get_tracker_class() -> type:
    """The class that hosts them; imported when asked for, as cv2 takes a moment to load."""
    from pytracking.tracker.opencv.tracker import OpenCVTracker

    return OpenCVTracker
