"""Every registered tracker passes the conformance suite; and the suite finds what it is there to find."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ltr.admin.errors import UserError
from pytracking.host import create_tracker
from pytracking.registry import list_parameters, list_trackers, resolve
from pytracking.testing import check_tracker, moving_target

Install = Callable[..., Path]

REGISTERED = [
    (tracker, parameter)
    for tracker in list_trackers()
    for parameter in list_parameters(tracker)
    if resolve(tracker, parameter) == (tracker, parameter)  # an alias would repeat what it stands for
]

# What the machine lacks is no fault of a tracker: weights that are not shipped, an OpenCV with contrib modules.
LACKING = re.compile(r"^weights '.*' not found|^OpenCV .* as installed here has no Tracker|^opencv:\w+ needs its ")


@pytest.mark.parametrize(("tracker", "parameter"), REGISTERED, ids=[":".join(pair) for pair in REGISTERED])
def test_registered_tracker(tracker: str, parameter: str) -> None:
    try:
        create_tracker(tracker, parameter, device="cpu")
    except UserError as error:
        # What is shipped may never be lacking.
        shipped = re.search(r"^weights '(edcf|dimp18_small|dcfst18_small)' ", str(error))
        if shipped or not LACKING.search(str(error)):
            raise
        pytest.skip(str(error))
    check_tracker(tracker, parameter, device="cpu")


GOOD = """
    import numpy as np
    class Tracker:
        def __init__(self, params):
            self.params = params
            self.steps = 0
        def initialize(self, image, info):
            self.box = list(info["init_bbox"])
            self.steps = 0
        def track(self, image, info=None):
            self.steps += 1
            box = list(self.box)
            box[0] += self.steps
            out = {"target_bbox": box, "object_presence_score": 1.0}
            return out
    def get_tracker_class():
        return Tracker
    def parameters():
        return None
"""

FAULTS = {
    "state of the video before": ("self.steps = 0\n        def track", "pass\n        def track", "initialized again"),
    "state shared between trackers": ("self.steps += 1", "Tracker.steps = getattr(Tracker, 'steps', 0) + 1; "
                                      "self.steps = Tracker.steps", "initialized again|same seed|disturb"),
    "shared by two at once": ("self.box = list(info", "Tracker.box = list(info", "disturb each other"),
    "writes into the image": ("box = list(self.box)", "image[0, 0] = 0; box = list(self.box)", "changed the image"),
    "writes into info": ("box = list(self.box)", "info['frame_num'] = 7; box = list(self.box)", "changed the info"),
    "empty boxes": ("box[0] += self.steps", "box[2] = 0.0", "no positive size"),
    "boxes that are not finite": ("box[0] += self.steps", "box[0] = float('nan')", "not four finite numbers"),
    "presence out of range": ('_score": 1.0', '_score": 1.5', r"not a number in \[0, 1\]"),
    "fails when the target has left": ("box = list(self.box)", "box = list(self.box); assert self.steps < 4",
                                       "fails on a target that leaves the frame: AssertionError"),
    "fails on one pixel": ("self.steps = 0\n        def track", "self.steps = 0; assert info['init_bbox'][2] > 1\n"
                           "        def track", "fails on a box of one pixel"),
    "no answer": ("return out", "return None", "refuses a moving target: .*expected a dictionary"),
    "needs what the host does not pass": ("self.steps += 1", "self.steps += info['speed']", "KeyError"),
}  # fmt: skip


def test_a_sound_plugin_passes(install_plugin: Install) -> None:
    install_plugin("good-dist", {"good_plugin.py": GOOD}, {"good": "good_plugin"})
    check_tracker("good")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_named(install_plugin: Install, fault: str) -> None:
    sound, faulty, message = FAULTS[fault]
    assert GOOD.count(sound) == 1
    install_plugin("faulty-dist", {"faulty_plugin.py": GOOD.replace(sound, faulty)}, {"faulty": "faulty_plugin"})
    with pytest.raises(AssertionError, match=message) as caught:
        check_tracker("faulty")
    assert "tracker 'faulty' with parameter 'default'" in str(caught.value)


def test_changed_parameters_are_found(install_plugin: Install) -> None:
    text = GOOD.replace("return None", "return P()").replace(
        "import numpy as np", "from dataclasses import dataclass\n    @dataclass\n    class P:\n        x: int = 1"
    )
    install_plugin("sound-dist", {"sound_params.py": text}, {"sound_params": "sound_params"})
    check_tracker("sound_params")
    text = text.replace("self.steps += 1", "self.steps += 1; self.params.x = 2")
    install_plugin("writer-dist", {"writer.py": text}, {"writer": "writer"})
    with pytest.raises(AssertionError, match="changed its parameters"):
        check_tracker("writer")


def test_a_tracker_that_cannot_be_made_is_a_user_error() -> None:
    with pytest.raises(UserError, match="unknown tracker"):
        check_tracker("no_such_tracker")


def test_the_test_video() -> None:
    frames, boxes = moving_target(5)
    assert len(frames) == len(boxes) == 5
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 0] + boxes[:, 2] <= 160).all()
    for frame, (x, y, w, h) in zip(frames, boxes.astype(int), strict=True):
        assert np.array_equal(frame[y : y + h, x : x + w], frames[0][44:72, 64:92])
    frames, boxes = moving_target(6, leave=True)
    assert (boxes[-2:, 0] >= 160).all()
    assert np.array_equal(frames[-1], frames[-2]) and not np.array_equal(frames[0], frames[-1])
