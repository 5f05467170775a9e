"""Modules written for pytracking, in its own style, run as they are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pytracking.parameter
import pytracking.tracker
from ltr.admin.errors import UsageError
from pytracking import create_tracker, list_trackers
from pytracking.registry import list_parameters
from pytracking.testing import check_tracker
from pytracking.tracker.base import BaseTracker
from pytracking.tracker.base.basetracker import BaseTracker as SameBaseTracker
from pytracking.utils import TrackerParams

Install = Callable[..., Path]

TRACKER = """
import math
from collections import OrderedDict
import numpy as np
from pytracking.tracker.base import BaseTracker


class MeanTracker(BaseTracker):
    def initialize(self, image, info: dict) -> dict:
        self.frame_num = 1
        if not self.params.has('device'):
            self.params.device = 'cuda' if self.params.use_gpu else 'cpu'
        state = info['init_bbox']
        self.pos = [state[1] + (state[3] - 1) / 2, state[0] + (state[2] - 1) / 2]
        self.target_sz = [state[3], state[2]]
        self.speed = self.params.get('speed', 0.5)
        self.scales = self.params.scale_factors * np.ones(3)
        return {'time': 0.5}

    def track(self, image, info: dict = None) -> dict:
        self.debug_info = {'previous': info['previous_output']}
        self.frame_num += 1
        self.pos = [self.pos[0] + self.speed, self.pos[1]]
        new_state = [self.pos[1] - (self.target_sz[1] - 1) / 2, self.pos[0] - (self.target_sz[0] - 1) / 2,
                     self.target_sz[1], self.target_sz[0]]
        if self.params.debug > 0 or self.params.visualization:
            raise RuntimeError('nobody asked for that')
        return OrderedDict({'target_bbox': new_state, 'object_presence_score': np.float32(1)})
"""
PACKAGE = "from .mean import MeanTracker\n\ndef get_tracker_class():\n    return MeanTracker\n"
PARAMETERS = """
from pytracking.utils import TrackerParams
import numpy as np

def parameters():
    params = TrackerParams()
    params.debug = 0
    params.visualization = False
    params.use_gpu = True
    params.scale_factors = np.ones(1)
    params.speed = 1
    return params
"""


@pytest.fixture
def mean_tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The three files where a user of pytracking puts them: tracker/<name>, parameter/<name>."""
    for kind, files in {
        "tracker": {"__init__.py": PACKAGE, "mean.py": TRACKER},
        "parameter": {"__init__.py": "", "default.py": PARAMETERS, "fast-mode.py": PARAMETERS},
    }.items():
        folder = tmp_path / kind / "meantracker"
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(text)
    for package in (pytracking.tracker, pytracking.parameter):
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / package.__name__.split(".")[1])])
    yield "meantracker"
    for name in [name for name in sys.modules if "meantracker" in name]:
        del sys.modules[name]


def test_it_is_found_runs_and_keeps_the_contract(mean_tracker: str) -> None:
    assert mean_tracker in list_trackers()
    assert list_parameters(mean_tracker) == ["default", "fast-mode"]
    check_tracker(mean_tracker, device="cpu")


def test_what_pytrackings_runner_does_is_done(mean_tracker: str) -> None:
    tracker = create_tracker(mean_tracker, "fast-mode", device="cpu", overrides={"speed": "2"})
    image = np.zeros((60, 80, 3), np.uint8)
    first = tracker.initialize(image, {"init_bbox": [10, 20, 8, 6]})
    assert first["target_bbox"] == [10, 20, 8, 6]
    assert first["time"] != 0.5  # measured, not claimed
    assert tracker.track(image)["target_bbox"] == [10, 22, 8, 6]
    assert tracker.params.use_gpu is False  # the device that was asked for
    assert (tracker.params.tracker_name, tracker.params.param_name) == (mean_tracker, "fast-mode")
    assert create_tracker(mean_tracker, device="cpu").params.speed == 1


def test_misspelt_settings_are_errors_here_too(mean_tracker: str) -> None:
    with pytest.raises(UsageError, match=r"unknown setting 'sped'; did you mean 'speed'\?"):
        create_tracker(mean_tracker, overrides={"sped": 3})


def test_the_attribute_bag() -> None:
    params: Any = TrackerParams()
    params.a = None
    params.set_default_values({"a": 1, "b": 2})
    assert (params.a, params.b) == (None, 2)
    assert params.has("b") and not params.has("c")
    assert params.get("b") == 2 and params.get("c", 3) == 3 and params.get("c", None) is None
    with pytest.raises(AttributeError, match="'c'"):
        params.get("c")
    with pytest.raises(AttributeError, match="no parameter 'c'"):
        _ = params.c
    with pytest.raises(ValueError, match="one default"):
        params.get("c", 1, 2)


def test_the_base_class() -> None:
    assert BaseTracker is SameBaseTracker
    tracker = BaseTracker("params")
    assert tracker.params == "params" and tracker.visdom is None and not tracker.predicts_segmentation_mask()
    for call in (lambda: tracker.initialize(None, {}), lambda: tracker.track(None)):  # type: ignore[arg-type]
        with pytest.raises(NotImplementedError, match="BaseTracker does not define"):
            call()
