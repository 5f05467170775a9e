from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ltr.admin.errors import UserError
from pytracking import create_tracker
from pytracking.host import HostedTracker
from pytracking.multi import MultiTracker

IMAGE = np.zeros((60, 80, 3), np.uint8)


@pytest.fixture
def made() -> list[HostedTracker]:
    return []


@pytest.fixture
def multi(still: str, made: list[HostedTracker]) -> MultiTracker:
    def make() -> HostedTracker:
        made.append(create_tracker(still))
        return made[-1]

    return MultiTracker(make)


def boxes(outputs: Any) -> dict[Any, list[float]]:
    return {object_id: out["target_bbox"] for object_id, out in outputs.items()}


def test_objects_are_tracked_apart_and_appear_later(multi: MultiTracker, made: list[HostedTracker]) -> None:
    first: dict[Any, list[float]] = {"a": [1, 2, 3, 4], 7: [5, 6, 7, 8]}
    assert boxes(multi.initialize(IMAGE, {"init_bbox": first})) == first
    assert boxes(multi.track(IMAGE)) == first
    later = multi.track(IMAGE, {"init_bbox": {"new": [9, 9, 9, 9]}})
    assert boxes(later) == {**first, "new": [9, 9, 9, 9]}
    multi.remove("a")
    assert multi.object_ids == [7, "new"]
    assert boxes(multi.track(IMAGE)) == {7: [5, 6, 7, 8], "new": [9, 9, 9, 9]}
    assert len(made) == 3
    multi.initialize(IMAGE, {"init_bbox": {i: [1, 1, 5, 5] for i in range(3)}})
    assert len(made) == 3, "trackers of the video before serve again"


def test_wrong_use(multi: MultiTracker) -> None:
    with pytest.raises(UserError, match="initialize"):
        multi.track(IMAGE)
    with pytest.raises(UserError, match="must be a dictionary"):
        multi.initialize(IMAGE, {"init_bbox": [1, 2, 3, 4]})
    with pytest.raises(UserError, match="at least one object"):
        multi.initialize(IMAGE, {"init_bbox": {}})
    with pytest.raises(UserError, match=r"object 'b': .*no positive size"):
        multi.initialize(IMAGE, {"init_bbox": {"a": [1, 2, 3, 4], "b": [1, 2, 0, 4]}})
    multi.initialize(IMAGE, {"init_bbox": {"a": [1, 2, 3, 4]}})
    with pytest.raises(UserError, match="'a' is tracked already"):
        multi.track(IMAGE, {"init_bbox": {"a": [1, 2, 3, 4]}})
    with pytest.raises(UserError, match="'c' is not tracked"):
        multi.remove("c")
    multi.remove("a")
    assert multi.track(IMAGE) == {}
