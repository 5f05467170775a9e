"""Several objects in one video: one tracker each, started in whichever frame the object appears."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np

from ltr.admin.errors import UserError
from pytracking.host import HostedTracker


class MultiTracker:
    """Tracks any number of objects with one single-object tracker for each.

    Trackers are made when they are needed and used again for the next video, so weights load as many times as
    there were objects at once.

    Args:
        make: returns a new tracker, e.g. `lambda: create_tracker("edcf")`.
    """

    def __init__(self, make: Callable[[], HostedTracker]) -> None:
        self._make = make
        self._idle: list[HostedTracker] = []
        self._active: dict[Hashable, HostedTracker] = {}
        self._started = False

    @property
    def object_ids(self) -> list[Hashable]:
        """Objects tracked at present, in the order they were started."""
        return list(self._active)

    def initialize(self, image: np.ndarray, info: Mapping[str, Any]) -> dict[Hashable, dict[str, Any]]:
        """Starts on a video with the objects of its first frame.

        Args:
            image: the first frame, as for `HostedTracker.initialize`.
            info: `init_bbox` is a dictionary, object id -> `[x, y, w, h]`; more keys are handed on.

        Returns:
            Object id -> output.

        Raises:
            UserError: no object, or an unfit image or box (the object's id is in the message).
        """
        boxes = _boxes(info)
        if not boxes:
            raise UserError('MultiTracker needs at least one object: {"init_bbox": {1: [x, y, w, h]}}')
        self._idle.extend(self._active.values())
        self._active = {}
        self._started = True
        return self._start(image, info, boxes)

    def track(
        self, image: np.ndarray, info: Mapping[str, Any] | None = None
    ) -> dict[Hashable, dict[str, Any]]:
        """Finds all objects in the next frame, and starts on those that appear in it.

        Args:
            image: the frame.
            info: `init_bbox` may name further objects, which are started here.

        Returns:
            Object id -> output.

        Raises:
            UserError: before `initialize`, an id that is tracked already, or an unfit image or box.
        """
        if not self._started:
            raise UserError("MultiTracker: call initialize() with the first frame before track()")
        info = dict(info or {})
        boxes = _boxes(info)
        known = [object_id for object_id in boxes if object_id in self._active]
        if known:
            raise UserError(f"object {known[0]!r} is tracked already: give a new object an id of its own")
        rest = {key: value for key, value in info.items() if key != "init_bbox"}
        outputs = {object_id: tracker.track(image, rest) for object_id, tracker in self._active.items()}
        return {**outputs, **self._start(image, info, boxes)}

    def remove(self, object_id: Hashable) -> None:
        """Stops tracking an object.

        Raises:
            UserError: it is not tracked.
        """
        if object_id not in self._active:
            raise UserError(f"object {object_id!r} is not tracked; tracked are {self.object_ids}")
        self._idle.append(self._active.pop(object_id))

    def _start(
        self, image: np.ndarray, info: Mapping[str, Any], boxes: Mapping[Hashable, Any]
    ) -> dict[Hashable, dict[str, Any]]:
        outputs = {}
        for object_id, box in boxes.items():
            tracker = self._idle.pop() if self._idle else self._make()
            try:
                outputs[object_id] = tracker.initialize(image, {**info, "init_bbox": box})
            except UserError as error:
                raise type(error)(f"object {object_id!r}: {error}") from error
            self._active[object_id] = tracker
        return outputs


def _boxes(info: Mapping[str, Any]) -> Mapping[Hashable, Any]:
    boxes = info.get("init_bbox", {})
    if not isinstance(boxes, Mapping):
        raise UserError(f"init_bbox of objects must be a dictionary, id -> [x, y, w, h]; got {boxes!r}")
    return boxes
