"""The one gate between trackers and everyone else: makes them, and checks every frame and box that passes.

What a tracker gets is always sound (RGB, 8 bits, one size, a box that overlaps the image, its own random
numbers), and so is what leaves it (four finite numbers, a measured time), or there is an error which says
who is to blame.
"""

from __future__ import annotations

import dataclasses
import inspect
import logging
import time
from collections.abc import Mapping
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

import numpy as np

from ltr.admin.errors import UsageError, UserError
from ltr.admin.overrides import apply_overrides
from ltr.admin.seeding import seeded
from ltr.data.image_io import as_rgb_uint8
from pytracking import registry
from pytracking.api import Tracker

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)


class TrackerError(UserError):
    """A tracker broke the contract of `pytracking.api`; the message names it."""


def create_tracker(
    name: str,
    parameter: str = "default",
    *,
    device: str | torch.device = "auto",
    weights: str | PathLike[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> HostedTracker:
    """Makes a tracker and loads its weights.

    Args:
        name: one of `list_trackers()`; "auto" is the best shipped one.
        parameter: one of `pytracking.registry.list_parameters(name)`.
        device: "auto", "cpu", "cuda", "cuda:1", "mps" or a `torch.device`; trackers that do not compute with
            torch have no use for it.
        weights: a file, or a name in the folders of weights, in place of the parameter's.
        overrides: changed parameters, name -> value or its text.
        seed: makes a run repeatable; `info["seed"]` of `initialize` goes before it.

    Raises:
        UserError: unknown or broken names, values out of range, missing or unfit weights, no such device.
    """
    params = prepare_parameters(name, parameter, weights=weights, overrides=overrides)
    cls = registry.tracker_class(name, parameter)
    arguments: dict[str, Any] = {}
    used: torch.device | None = None
    takes_device = _takes_device(cls)
    if takes_device or hasattr(params, "use_gpu"):
        # Only now: resolving imports torch, which trackers without it should not have to wait for.
        from ltr.admin.runtime import resolve_device

        used = resolve_device(device)
    if takes_device:
        arguments["device"] = used
    if not dataclasses.is_dataclass(params):
        _complete_bag(params, name, parameter, used)
    return HostedTracker(name, parameter, params, cls(params, **arguments), device=used, seed=seed)


def prepare_parameters(
    name: str,
    parameter: str = "default",
    *,
    weights: str | PathLike[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Any:
    """A tracker's parameters with the changes applied; loads neither its class nor its weights.

    Args:
        name, parameter, weights, overrides: as for `create_tracker`.

    Raises:
        UserError: unknown or broken names, unknown settings, values out of range.
    """
    params = registry.load_parameters(name, parameter)
    changes = dict(overrides or {})
    if weights is not None:
        if not hasattr(params, "weights"):
            raise UsageError(f"tracker {name!r} with parameter {parameter!r} takes no weights: omit them")
        if "weights" in changes:
            raise UsageError("weights are given twice, as weights and as a setting; leave one out")
        changes["weights"] = fspath(weights)
    return apply_overrides(params, changes)


def _takes_device(cls: type) -> bool:
    try:
        return "device" in inspect.signature(cls).parameters
    except (TypeError, ValueError):  # classes of extension modules have no signature
        return False


def _complete_bag(params: Any, name: str, parameter: str, device: torch.device | None) -> None:
    """What pytracking's runner sets on its attribute bags before it makes a tracker."""
    defaults = {"debug": 0, "visualization": False, "tracker_name": name, "param_name": parameter}
    if not hasattr(params, "__dict__"):
        return
    for key, value in defaults.items():
        if not hasattr(params, key):
            setattr(params, key, value)
    if device is not None and hasattr(params, "use_gpu"):
        params.use_gpu = device.type == "cuda"


class HostedTracker:
    """A tracker behind the gate; made by `create_tracker`.

    Attributes:
        name: name it was asked for by.
        parameter: name of its parameters.
        params: the parameters.
        tracker: the plugin's own object.
        device: torch device it computes on, or None where it takes none.
        seed: seed of the run.
    """

    def __init__(
        self,
        name: str,
        parameter: str,
        params: Any,
        tracker: Tracker,
        *,
        device: torch.device | None = None,
        seed: int = 0,
    ) -> None:
        self.name, self.parameter, self.params, self.tracker = name, parameter, params, tracker
        self.device, self.seed = device, int(seed)
        self._size: tuple[int, int] | None = None  # height, width of the video; None before initialize
        self._video_seed = self.seed
        self._frame_num = 0
        self._previous: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"HostedTracker({self.name}:{self.parameter})"

    def initialize(self, image: np.ndarray, info: Mapping[str, Any]) -> dict[str, Any]:
        """Starts on a video; forgets the one before.

        Args:
            image: (H, W, 3) RGB, also (H, W), (H, W, 1) grey or (H, W, 4) RGBA; uint8 or uint16.
            info: has `init_bbox` `[x, y, w, h]`, float pixels; `seed` and more keys are handed on.

        Returns:
            The tracker's output; `target_bbox` (the given box where the tracker returned none) and `time`.

        Raises:
            UserError: the image or the box is unfit.
            TrackerError: the tracker's answer is.
        """
        self._size = None
        image = as_rgb_uint8(image, "first frame")
        box = check_box(info.get("init_bbox"), image.shape[:2])
        self._video_seed = int(info.get("seed", self.seed))
        self._frame_num = 0
        details = {**info, "init_bbox": list(box), "seed": self._video_seed}
        out = self._timed("initialize", image, details)
        out.setdefault("target_bbox", box)
        self._size = (image.shape[0], image.shape[1])
        return self._checked(out, "initialize")

    def track(self, image: np.ndarray, info: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Finds the target in the next frame.

        Args:
            image: as for `initialize`, of the same size.
            info: handed on; `frame_num` and `previous_output` are added.

        Returns:
            The tracker's output: `target_bbox` as a list of four floats, `time` in seconds, and more keys.

        Raises:
            UserError: `initialize` was not called, or the image is unfit.
            TrackerError: the tracker's answer is.
        """
        if self._size is None:
            raise UserError(f"tracker {self.name!r}: call initialize() with the first frame before track()")
        image = as_rgb_uint8(image, f"frame {self._frame_num + 1}")
        if image.shape[:2] != self._size:
            raise UserError(
                f"frame {self._frame_num + 1} is {_size_text(image.shape)}, the first frame was "
                f"{_size_text(self._size)} (width x height): all frames of a video must have one size; "
                "resize them, or initialize again"
            )
        self._frame_num += 1
        details = {**(info or {}), "frame_num": self._frame_num, "previous_output": dict(self._previous)}
        return self._checked(self._timed("track", image, details), "track")

    def _timed(self, method: str, image: np.ndarray, info: dict[str, Any]) -> dict[str, Any]:
        # Own random numbers for each frame: a tracker that uses the global generators is then repeatable too,
        # in any order, and beside others in the same process. The switch is not part of the time.
        with seeded(f"{self._video_seed}/{self._frame_num}"):
            self._synchronize()
            start = time.perf_counter()
            out = getattr(self.tracker, method)(image, info)
            self._synchronize()
            seconds = time.perf_counter() - start
        if out is None and method == "initialize":
            out = {}
        if not isinstance(out, Mapping):
            raise self._broken(f"{method}() returned {type(out).__name__}, expected a dictionary")
        return {**out, "time": seconds}

    def _checked(self, out: dict[str, Any], method: str) -> dict[str, Any]:
        if "target_bbox" not in out:
            raise self._broken(f"{method}() returned no 'target_bbox' (keys: {', '.join(map(str, out))})")
        box = _numbers(out["target_bbox"])
        if box is None or len(box) != 4 or not np.isfinite(box).all():
            given = f"{out['target_bbox']!r}"
            raise self._broken(f"{method}() returned target_bbox {given}, not four finite numbers")
        out["target_bbox"] = box
        self._previous = out
        return dict(out)

    def _broken(self, what: str) -> TrackerError:
        module = type(self.tracker).__module__
        where = f"in frame {self._frame_num}" if self._frame_num else "in the first frame"
        whose = f"tracker {self.name!r} (parameter {self.parameter!r}, module {module})"
        return TrackerError(f"{whose}: {what}, {where}")

    def _synchronize(self) -> None:
        if self.device is not None and self.device.type != "cpu":
            from ltr.admin.runtime import synchronize

            synchronize(self.device)


def check_box(box: Any, size: tuple[int, ...]) -> list[float]:
    """The target's box as four floats.

    Args:
        box: `[x, y, w, h]`, any sequence of four numbers.
        size: height and width of the image.

    Raises:
        UserError: not four finite numbers, no positive size, or outside the image.
    """
    if box is None:
        raise UserError('initialize() got no "init_bbox": give {"init_bbox": [x, y, w, h]} in pixels')
    numbers = _numbers(box)
    if numbers is None or len(numbers) != 4:
        raise UserError(f"init_bbox must be four numbers [x, y, w, h], got {box!r}")
    if not np.isfinite(numbers).all():
        raise UserError(f"init_bbox {numbers} is not finite: give four numbers [x, y, w, h] in pixels")
    x, y, w, h = numbers
    if w <= 0 or h <= 0:
        raise UserError(f"init_bbox {numbers} has no positive size: [x, y, w, h] needs w > 0 and h > 0")
    height, width = size[:2]
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise UserError(
            f"init_bbox {numbers} lies outside the image of {width} x {height} pixels: [x, y, w, h] has the "
            "top-left corner first, in pixels"
        )
    return numbers


def _numbers(value: Any) -> list[float] | None:
    """A flat list of floats of a list, array or tensor; None where it is something else."""
    if hasattr(value, "tolist"):  # numpy and torch, on any device
        value = value.tolist()
    try:
        return [float(number) for number in value]
    except (TypeError, ValueError):
        return None


def _size_text(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"
