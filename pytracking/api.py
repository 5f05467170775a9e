"""What a tracker is: the words that the host, the trackers and the evaluation have in common. Torch-free.

A tracker plugin is a module with `get_tracker_class()`; the class is called with its parameters (and
`device=`, where its constructor names that) and follows the protocol `Tracker`. See docs for a full example.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol, TypedDict

import numpy as np

if sys.version_info >= (3, 11):
    from typing import Required
else:
    from typing_extensions import Required

__all__ = ["FrameInfo", "InitInfo", "Tracker", "TrackerOutput"]


class InitInfo(TypedDict, total=False):
    """What is known about the first frame.

    Keys:
        init_bbox: `[x, y, w, h]` of the target, float pixels, (x, y) the top-left corner, 0-based.
        init_mask: (H, W) uint8 in {0, 1}, where a data set has one.
        seed: of this sequence, for trackers that need random numbers.
    """

    init_bbox: Required[list[float]]
    init_mask: np.ndarray
    seed: int


class TrackerOutput(TypedDict, total=False):
    """What a tracker says about a frame.

    Keys:
        target_bbox: `[x, y, w, h]` as in `InitInfo`, four finite numbers, also while the target is lost.
        score: the tracker's own confidence, of any range.
        object_presence_score: in [0, 1], 0 where the tracker believes that the target is not to be seen.
        search_area: `[x, y, w, h]` of the image region that was searched.
        time: seconds; measured by the host.
        debug: named maps and figures, only where the parameters ask for them.
    """

    target_bbox: Required[list[float]]
    score: float
    object_presence_score: float
    search_area: list[float]
    time: float
    debug: dict[str, Any]


class FrameInfo(TypedDict, total=False):
    """What is known about a later frame.

    Keys:
        frame_num: its number in the sequence; the first frame is 0.
        previous_output: the tracker's output for the frame before.
    """

    frame_num: int
    previous_output: TrackerOutput


class Tracker(Protocol):
    """A single-object tracker.

    Everything about one video is made by `initialize`, which may be called again for the next one. A tracker
    changes neither the image nor `info` nor its parameters, and uses no global random numbers.
    """

    def initialize(self, image: np.ndarray, info: InitInfo) -> TrackerOutput | dict[str, Any] | None:
        """Starts on a video.

        Args:
            image: (H, W, 3) uint8 RGB, C-contiguous.
            info: has `init_bbox`.

        Returns:
            Nothing, or an output; its `target_bbox` may be missing.
        """
        ...

    def track(self, image: np.ndarray, info: FrameInfo | None = None) -> TrackerOutput | dict[str, Any]:
        """Finds the target in the next frame.

        Args:
            image: (H, W, 3) uint8 RGB, C-contiguous, of the first frame's size.
            info: frame number and previous output.

        Returns:
            An output with `target_bbox`.
        """
        ...
