"""The conformance suite: what every tracker must do, whatever it is made of.

In a plugin's tests:

    from pytracking.testing import check_tracker

    def test_contract() -> None:
        check_tracker("mytracker", "default")
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ltr.admin.errors import UserError
from ltr.admin.seeding import rng_for
from pytracking.host import HostedTracker, create_tracker

__all__ = ["check_tracker", "moving_target"]

_SIZE = (120, 160)  # height, width of the test video in pixels
_SIDE = 28  # side of its target


def check_tracker(name: str, parameter: str = "default", **options: Any) -> None:
    """Runs a tracker through a small synthetic video and checks that it keeps the contract of `pytracking.api`.

    - initialized twice, it gives the same boxes: nothing of the first video is left;
    - made twice with the same seed, it gives the same boxes;
    - two in one process, taking turns, do not disturb each other;
    - it changes neither images nor `info` nor its (dataclass) parameters;
    - boxes stay finite and of positive size when the target leaves the frame, and for boxes of a few pixels, of
      one pixel, across the border, and of the whole frame; `object_presence_score` is in [0, 1];
    - it runs behind the host with grey frames.

    Whether it tracks well is not checked.

    Args:
        name: a registered tracker.
        parameter: its parameter.
        **options: for `create_tracker`: `weights`, `overrides`, `device`, `seed`.

    Raises:
        AssertionError: the first point that is not kept, in words.
        UserError: the tracker cannot be made (unknown, broken, no weights).
    """
    whose = f"tracker {name!r} with parameter {parameter!r}"

    tracker = create_tracker(name, parameter, **options)
    frames, boxes = moving_target()
    kept, before = [frame.copy() for frame in frames], _frozen(tracker.params)
    expected = _run(whose, "a moving target", tracker, frames, boxes[0])
    unchanged = all(map(np.array_equal, frames, kept))
    _expect(unchanged, f"{whose}: it changed the image it was given")
    again = _run(whose, "a second initialize", tracker, frames, boxes[0])
    _same(expected, again, f"{whose}: initialized again with the same video, it gives other boxes")
    other = create_tracker(name, parameter, **options)
    _same(expected, _run(whose, "a new tracker", other, frames, boxes[0]), f"{whose}: same seed, other boxes")
    _check_turns(whose, tracker, other, frames, boxes[0])
    _check_info(whose, tracker, frames, boxes[0])
    _check_leaving(whose, tracker)
    _check_boxes(whose, tracker, frames)
    _run(whose, "grey frames", tracker, [frame[..., 0] for frame in frames], boxes[0])
    _expect(_frozen(tracker.params) == before, f"{whose}: it changed its parameters")


def moving_target(num_frames: int = 4, leave: bool = False) -> tuple[list[np.ndarray], np.ndarray]:
    """A textured square that moves over a textured background.

    Args:
        num_frames: frames to make.
        leave: let it move out of the frame, and stay away for the last two frames.

    Returns:
        Frames, (120, 160, 3) uint8 RGB; and boxes, (num_frames, 4) float64 `[x, y, w, h]`.
    """
    rng = rng_for("pytracking.testing", 0)
    height, width = _SIZE
    background = np.kron(rng.integers(60, 160, (height // 8, width // 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    target = np.kron(rng.integers(0, 256, (_SIDE // 4, _SIDE // 4, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    way = width - 64 + _SIDE if leave else 4 * (num_frames - 1)
    steps = max(num_frames - 3, 1) if leave else max(num_frames - 1, 1)
    frames, boxes = [], []
    for index in range(num_frames):
        x, y = 64 + round(way * min(index / steps, 1.0)), 44 + (0 if leave else 2 * index)
        frame = background.copy()
        frame[y : y + _SIDE, x : x + _SIDE] = target[:, : max(width - x, 0)]
        frames.append(frame)
        boxes.append([x, y, _SIDE, _SIDE])
    return frames, np.array(boxes, dtype=np.float64)


def _run(
    whose: str, situation: str, tracker: HostedTracker, frames: list[np.ndarray], box: Any
) -> np.ndarray:
    """The boxes of a video, (F, 4); each output is checked."""
    with _failures(whose, situation):
        outputs = [tracker.initialize(frames[0], {"init_bbox": list(box)})]
        outputs += [tracker.track(frame) for frame in frames[1:]]
    for number, out in enumerate(outputs):
        _check_output(f"{whose}, {situation}, frame {number}", out)
    return np.array([out["target_bbox"] for out in outputs])


def _check_output(where: str, out: dict[str, Any]) -> None:
    box = out["target_bbox"]  # the host has seen that these are four finite numbers
    _expect(box[2] > 0 and box[3] > 0, f"{where}: target_bbox {box} has no positive size")
    presence = out.get("object_presence_score")
    if presence is not None:
        sound = isinstance(presence, (int, float, np.number)) and bool(0 <= presence <= 1)
        _expect(sound, f"{where}: object_presence_score {presence!r} is not a number in [0, 1]")


def _check_turns(
    whose: str, first: HostedTracker, second: HostedTracker, frames: list[np.ndarray], box: Any
) -> None:
    """Two trackers on two videos, frame by frame in turn, against each alone."""
    mirrored = [np.ascontiguousarray(frame[:, ::-1]) for frame in frames]
    videos = [(first, frames, box), (second, mirrored, [_SIZE[1] - box[0] - box[2], *box[1:]])]
    alone = [_run(whose, "being alone", *video) for video in videos]
    turns: list[list[Any]] = [[], []]
    with _failures(whose, "two trackers in turn"):
        for number in range(len(frames)):
            for (tracker, images, start), outputs in zip(videos, turns, strict=True):
                if number == 0:
                    outputs.append(tracker.initialize(images[0], {"init_bbox": list(start)}))
                else:
                    outputs.append(tracker.track(images[number]))
    for outputs, expected in zip(turns, alone, strict=True):
        together = np.array([out["target_bbox"] for out in outputs])
        _same(expected, together, f"{whose}: two trackers in one process disturb each other")


def _check_info(whose: str, tracker: HostedTracker, frames: list[np.ndarray], box: Any) -> None:
    """Past the host, which hands on copies of `info`."""
    info: Any = {"init_bbox": [float(value) for value in box], "seed": 0}
    later: Any = {"frame_num": 1, "previous_output": {"target_bbox": list(info["init_bbox"])}}
    kept = copy.deepcopy((info, later))
    with _failures(whose, "being called without the host"):
        tracker.tracker.initialize(frames[0], info)
        tracker.tracker.track(frames[1], later)
    _expect((info, later) == kept, f"{whose}: it changed the info it was given")


def _check_leaving(whose: str, tracker: HostedTracker) -> None:
    frames, boxes = moving_target(num_frames=6, leave=True)
    _run(whose, "a target that leaves the frame", tracker, frames, boxes[0])


def _check_boxes(whose: str, tracker: HostedTracker, frames: list[np.ndarray]) -> None:
    height, width = _SIZE
    cases = {
        "a box of 3 x 3 pixels": [70.0, 50.0, 3.0, 3.0],
        "a box of one pixel": [70.0, 50.0, 1.0, 1.0],
        "a box of one pixel in the corner": [width - 1.0, height - 1.0, 1.0, 1.0],
        "a box across the border": [-10.5, -8.25, 30.0, 30.0],
        "a long thin box": [5.0, 50.0, 150.0, 2.0],
        "a box of the whole frame": [0.0, 0.0, float(width), float(height)],
    }
    for situation, box in cases.items():
        _run(whose, situation, tracker, frames[:2], box)


@contextmanager
def _failures(whose: str, situation: str) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise AssertionError(f"{whose} refuses {situation}: {error}") from error
    except Exception as error:  # whatever a plugin may raise is a breach of the contract
        raise AssertionError(f"{whose} fails on {situation}: {type(error).__name__}: {error}") from error


def _frozen(params: Any) -> Any:
    """Something to compare parameters by; attribute bags of pytracking's style may be written to."""
    is_value = dataclasses.is_dataclass(params) and not isinstance(params, type)
    return dataclasses.asdict(params) if is_value else None


def _same(expected: np.ndarray, boxes: np.ndarray, message: str) -> None:
    differing = np.flatnonzero((expected != boxes).any(axis=1))
    if len(differing):
        frame = int(differing[0])
        raise AssertionError(f"{message}; first in frame {frame}: {expected[frame]} and {boxes[frame]}")


def _expect(condition: bool, message: str) -> None:
    if not condition:  # not `assert`: this is not switched off by python -O
        raise AssertionError(message)
