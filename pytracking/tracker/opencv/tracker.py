"""OpenCV's trackers behind the protocol of `pytracking.api`."""

from __future__ import annotations

import ctypes
import functools
import logging
import math
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from pytracking.api import FrameInfo, InitInfo, TrackerOutput
from pytracking.tracker.opencv.boxes import FittedBox, fit_box
from pytracking.tracker.opencv.factory import make_tracker, net_files
from pytracking.tracker.opencv.params import OpenCVParams

logger = logging.getLogger(__name__)

_MAX_ASPECT = 16  # of the boxes offered in place of refused ones


@dataclass
class OpenCVState:
    """All that belongs to one video."""

    tracker: Any  # a cv2.Tracker
    fitted: FittedBox
    box: list[float]  # the last box, repeated while the target is lost
    seed: int
    frame_num: int = 0
    warned: bool = False


class OpenCVTracker:
    """Hosts one of OpenCV's trackers.

    Their answers are passed on as they are: boxes of whole pixels, the last box with `object_presence_score` 0
    in frames where `update()` reports that the target is lost. Initial boxes are rounded. Boxes that the
    algorithm cannot take (too small, too thin, across the border) are replaced by ones that it can, and its
    answers moved and scaled back.

    Args:
        params: one of the dataclasses in `pytracking.tracker.opencv.params`.

    Raises:
        UserError: the installed OpenCV does not have this tracker, or a net's file is missing.
    """

    def __init__(self, params: OpenCVParams) -> None:
        self.params = params
        self._has_score = bool(net_files(params))
        self._unused: Any = make_tracker(params)  # made now, so that what is missing shows now
        self.state: OpenCVState | None = None

    def initialize(self, image: np.ndarray, info: InitInfo) -> TrackerOutput:
        """Starts on a video.

        Raises:
            UserError: the image is smaller than any box the algorithm takes.
        """
        params, box = self.params, [float(value) for value in info["init_bbox"]]
        size, seed = (image.shape[0], image.shape[1]), int(info.get("seed", 0))
        fitted = fit_box(box, size, params.min_side, params.margin)
        try:
            self._start(image, fitted, box, seed)
        except cv2.error as error:
            logger.info("Tracker%s does not take %s: %s", params.algorithm, fitted.rect, str(error).strip())
            # CSRT has no name for its limits: next to nothing inside the image, or far from square.
            side = max(8, params.min_side, math.ceil(min(max(box[2:]), max(size)) / _MAX_ASPECT))
            self._start(image, fit_box(box, size, side, params.margin or 0), box, seed)
        return {"target_bbox": box}

    def _start(self, image: np.ndarray, fitted: FittedBox, box: list[float], seed: int) -> None:
        # A new one for each video: OpenCV's keep parts of the video before when they are initialized again.
        tracker, self._unused = self._unused or make_tracker(self.params), None
        self.state = OpenCVState(tracker, fitted, list(box), seed)
        self._seed_opencv()
        tracker.init(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), fitted.rect)

    def track(self, image: np.ndarray, info: FrameInfo | None = None) -> TrackerOutput:
        """Finds the target in the next frame."""
        state = self.state
        if state is None:
            raise RuntimeError("track() was called before initialize()")
        state.frame_num += 1
        self._seed_opencv()
        found, rect = self._update(state, image)
        if found:
            state.box = state.fitted.restore(rect)
        out: TrackerOutput = {"target_bbox": list(state.box), "object_presence_score": float(found)}
        if self._has_score:
            out["score"] = float(state.tracker.getTrackingScore())
        return out

    def _update(self, state: OpenCVState, image: np.ndarray) -> tuple[bool, tuple[int, ...]]:
        try:
            found, rect = state.tracker.update(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        except cv2.error as error:  # a search region that has left the image, for instance
            if not state.warned:
                logger.warning(
                    "Tracker%s failed in frame %d, which counts as lost: %s",
                    self.params.algorithm, state.frame_num, str(error).strip(),
                )  # fmt: skip
            state.warned = True
            return False, ()
        return bool(found) and rect[2] > 0 and rect[3] > 0, rect

    def _seed_opencv(self) -> None:
        """OpenCV's random numbers are global: seeded for each frame, they depend on nothing but the frame."""
        assert self.state is not None
        seed = zlib.crc32(f"{self.state.seed}/{self.state.frame_num}".encode())
        cv2.setRNGSeed(seed & 0x7FFFFFFF)
        _srand()(seed)


@functools.lru_cache(maxsize=1)
def _srand() -> Callable[[int], Any]:
    """The C library's `srand`: TrackerMIL draws its features with `rand()`, which OpenCV does not seed."""
    try:
        library = ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None)
        function = library.srand
    except (OSError, AttributeError, TypeError):
        return lambda seed: None
    function.argtypes, function.restype = [ctypes.c_uint], None
    return function
