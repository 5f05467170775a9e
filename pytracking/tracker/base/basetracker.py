"""The base class that modules written for pytracking import."""

from __future__ import annotations

from typing import Any

import numpy as np


class BaseTracker:
    """A tracker that keeps its parameters in `self.params`; subclasses define the two methods.

    Args:
        params: what `parameters()` of the parameter file returned.
    """

    def __init__(self, params: Any) -> None:
        self.params = params
        self.visdom: Any = None  # such modules draw only where this is not None

    def predicts_segmentation_mask(self) -> bool:
        """Whether outputs have a mask; pytracking asks this."""
        return False

    def initialize(self, image: np.ndarray, info: dict[str, Any]) -> dict[str, Any] | None:
        """Starts on a video; see `pytracking.api.Tracker`."""
        raise NotImplementedError(f"{type(self).__name__} does not define initialize()")

    def track(self, image: np.ndarray, info: dict[str, Any] | None = None) -> dict[str, Any]:
        """Finds the target in the next frame; see `pytracking.api.Tracker`."""
        raise NotImplementedError(f"{type(self).__name__} does not define track()")
