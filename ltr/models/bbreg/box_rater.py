"""Rates boxes in one image, and computes the box branch's features only where the boxes are.

The boxes that are refined lie around one target, which fills a twenty-fifth of the crop: most of the features that
the box branch computes are never read. Two convolutions need two more cells on every side; with these the features of a
window are those of the whole map.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

UNIT = 16  # pixels of a cell of the coarser level, two cells of the finer one
HALO = 2  # cells by which two 3 x 3 convolutions reach further


class BoxNet(Protocol):
    """What is needed of a net."""

    def iou_features(self, backbone: dict[str, Tensor]) -> tuple[Tensor, Tensor]: ...

    def predict_iou_with_gradient(
        self, modulation: tuple[Tensor, Tensor], iou_features: tuple[Tensor, Tensor], boxes_xywh: Tensor
    ) -> tuple[Tensor, Tensor]: ...


class Window(NamedTuple):
    """Cells of the coarser level, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    def holds(self, other: Window) -> bool:
        """Whether another window lies in this one."""
        rows = self.top <= other.top and other.bottom <= self.bottom
        return rows and self.left <= other.left and other.right <= self.right


class BoxRater:
    """Overlaps of boxes with the target in one image, and their gradients.

    Args:
        net: prepared or not, in evaluation mode.
        modulation: of the target, two tensors ``(1, C, 1, 1)``.
        maps: ``layer2`` and ``layer3`` of the image, ``(1, C, h, w)``.
        margin: pixels by which the first boxes may grow or move before the rest of the image's features is computed.
    """

    def __init__(
        self, net: BoxNet, modulation: tuple[Tensor, Tensor], maps: Mapping[str, Tensor], margin: float = 8.0
    ) -> None:
        self._net, self._modulation, self._maps, self._margin = net, modulation, maps, margin
        self._whole = Window(0, maps["layer3"].shape[2], 0, maps["layer3"].shape[3])
        self._window: Window | None = None
        self._origin: Tensor | None = None

    def __call__(self, boxes_xywh: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, 4)`` boxes in crop pixels to overlaps ``(N,)`` and the gradient ``(N, 4)`` of their sum."""
        if self._window != self._whole and not self._reaches(boxes_xywh):
            # Where values wait for a device, and for boxes that run away, the whole image it is.
            first = self._window is None and boxes_xywh.device.type == "cpu"
            self._compute(self._needed(boxes_xywh, self._margin) if first else self._whole)
        boxes = boxes_xywh if self._origin is None else boxes_xywh - self._origin
        overlap, gradient = self._net.predict_iou_with_gradient(self._modulation, self._levels, boxes[None])
        return overlap[0], gradient[0]

    def _reaches(self, boxes_xywh: Tensor) -> bool:
        return self._window is not None and self._window.holds(self._needed(boxes_xywh, 0.0))

    def _needed(self, boxes_xywh: Tensor, margin: float) -> Window:
        """The cells whose hat functions reach into a box."""
        boxes = [box for box in boxes_xywh.tolist() if all(map(math.isfinite, box))]
        if not boxes:
            return Window(0, 1, 0, 1)
        left, right = _cells([box[0] for box in boxes], [box[0] + box[2] for box in boxes], margin, self._whole.right)
        top, bottom = _cells([box[1] for box in boxes], [box[1] + box[3] for box in boxes], margin, self._whole.bottom)
        return Window(top, bottom, left, right)

    def _compute(self, window: Window) -> None:
        self._window = window
        part, inner = {}, []
        for name, factor in (("layer2", 2), ("layer3", 1)):
            whole = self._maps[name]
            rows, inner_rows = _with_halo(window.top * factor, window.bottom * factor, whole.shape[2])
            columns, inner_columns = _with_halo(window.left * factor, window.right * factor, whole.shape[3])
            part[name] = whole[:, :, rows, columns]
            inner.append((..., inner_rows, inner_columns))
        maps3, maps4 = self._net.iou_features(part)
        self._levels = maps3[inner[0]].contiguous(), maps4[inner[1]].contiguous()
        corner = [window.left * UNIT, window.top * UNIT, 0, 0]
        self._origin = torch.tensor(corner, dtype=torch.float32, device=maps3.device) if any(corner) else None


def _cells(low: list[float], high: list[float], margin: float, size: int) -> tuple[int, int]:
    """First cell and the one behind the last that the intervals touch, within the map."""
    first = math.floor((min(low) - margin) / UNIT)
    last = math.ceil((max(high) + margin) / UNIT)
    first = min(max(first, 0), size - 1)
    return first, min(max(last + 1, first + 1), size)


def _with_halo(first: int, end: int, size: int) -> tuple[slice, slice]:
    """Cells to compute from, and where among them those asked for lie."""
    outer = max(first - HALO, 0)
    return slice(outer, min(end + HALO, size)), slice(first - outer, min(end, size) - outer)
