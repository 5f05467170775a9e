"""Boxes that climb the predicted overlap (ATOM Section 3.1; DiMP and DCFST track with it too).

Everything up to the last choice stays on the device; that choice is made of a few numbers on the host.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ltr.ops.boxes import relative_to_xywh, xywh_to_relative

RefinementSpace = Literal["default", "relative"]

# (N, 4) boxes to their N predicted overlaps, and the gradient (N, 4) of the overlaps' sum in x, y, w, h.
PredictWithGradient = Callable[[Tensor], tuple[Tensor, Tensor]]


def jitter_boxes(box_xywh: Tensor, uniforms: Tensor, position: float, size: float) -> Tensor:
    """A box and others like it.

    Args:
        box_xywh: ``(4,)``.
        uniforms: ``(N, 4)`` in [0, 1): two numbers for the centre, two for the size of each box.
        position: range of the centres in units of ``sqrt(w * h)``.
        size: range of width and height in the same units; neither falls below a third of the box's smaller side.

    Returns:
        ``(1 + N, 4)``, the box itself first.
    """
    extent = box_xywh[2:]
    unit = extent.prod().sqrt()
    draws = uniforms - 0.5
    sizes = torch.maximum(extent + size * unit * draws[:, 2:], extent.amin() / 3)
    centres = box_xywh[:2] + extent / 2 + position * unit * draws[:, :2]
    return torch.cat([box_xywh.unsqueeze(0), torch.cat([centres - sizes / 2, sizes], dim=1)])


def climb_overlap(
    predict: PredictWithGradient,
    boxes_xywh: Tensor,
    *,
    iterations: int,
    step_length: float = 1.0,
    step_decay: float = 1.0,
    space: RefinementSpace = "default",
    gradient_decimals: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Gradient ascent on the predicted overlap, all boxes at once.

    Args:
        predict: see ``PredictWithGradient``.
        boxes_xywh: ``(N, 4)`` in crop pixels.
        iterations: steps, at least one.
        step_length: of the first step.
        step_decay: factor on the length after each step.
        space: ``default`` steps in x, y, w, h, scaled by the box's size (ATOM, DiMP); ``relative`` steps in the
            centre over the first box's size and the logarithm of the size (PrDiMP).
        gradient_decimals: gradients are rounded to so many (DCFST); None for as they are.

    Returns:
        boxes ``(N, 4)`` after the last step, and the overlaps ``(N,)`` predicted right before it.
    """
    unit = boxes_xywh[:1, 2:]
    overlap = boxes_xywh.new_zeros(len(boxes_xywh))
    for _ in range(iterations):
        overlap, gradient = predict(boxes_xywh)
        if gradient_decimals is not None:
            gradient = gradient.round(decimals=gradient_decimals)
        extent = boxes_xywh[:, 2:]
        if space == "default":
            boxes_xywh = boxes_xywh + step_length * gradient * extent.repeat(1, 2)
        else:
            along_centre, along_size = gradient[:, :2], gradient[:, 2:]
            step = torch.cat([along_centre * unit, (along_size - 0.5 * along_centre) * extent], dim=1)
            boxes_xywh = relative_to_xywh(xywh_to_relative(boxes_xywh, unit) + step_length * step, unit)
        step_length *= step_decay
    return boxes_xywh, overlap


@dataclass(frozen=True)
class BoxSearch:
    """How the box of a target is looked for around the place where a classifier found it.

    Attributes:
        random_boxes: boxes beside the first one.
        jitter_pos, jitter_sz: how far they are from it, see :func:`jitter_boxes`.
        iterations, step_length, step_decay, space, gradient_decimals: see :func:`climb_overlap`.
        max_aspect_ratio, best: see :func:`mean_of_best`.
    """

    random_boxes: int = 9
    jitter_pos: float = 0.1
    jitter_sz: float = 0.5
    iterations: int = 5
    step_length: float = 1.0
    step_decay: float = 1.0
    space: RefinementSpace = "default"
    gradient_decimals: int | None = None
    max_aspect_ratio: float = 6.0
    best: int = 3

    def draw(self, generator: torch.Generator) -> Tensor:
        """``(N, 4)`` random numbers in [0, 1), drawn on the CPU so that a seed means the same on every device."""
        return torch.rand(self.random_boxes, 4, generator=generator)

    def climb(self, predict: PredictWithGradient, box_xywh: Tensor, uniforms: Tensor) -> Tensor:
        """Boxes like one ``(4,)``, refined; rows ``(1 + N, 9)`` of the box before, the box after, and its overlap."""
        uniforms = uniforms.to(box_xywh.device, non_blocking=True)
        start = jitter_boxes(box_xywh, uniforms, self.jitter_pos, self.jitter_sz)
        boxes, overlaps = climb_overlap(
            predict,
            start,
            iterations=self.iterations,
            step_length=self.step_length,
            step_decay=self.step_decay,
            space=self.space,
            gradient_decimals=self.gradient_decimals,
        )
        return torch.cat([start, boxes, overlaps[:, None]], dim=1)

    def choose(self, boxes_xywh: np.ndarray, overlaps: np.ndarray) -> np.ndarray | None:
        """The mean of the best of the refined boxes, if there is one, see :func:`mean_of_best`."""
        return mean_of_best(boxes_xywh, overlaps, best=self.best, max_aspect_ratio=self.max_aspect_ratio)


def mean_of_best(
    boxes_xywh: np.ndarray, overlaps: np.ndarray, *, best: int, max_aspect_ratio: float
) -> np.ndarray | None:
    """The mean of the boxes with the highest overlap, leaving out long thin ones.

    Args:
        boxes_xywh: ``(N, 4)``; sides below 1 are taken for 1.
        overlaps: ``(N,)``.
        best: how many to average.
        max_aspect_ratio: of the longer side to the shorter one.

    Returns:
        ``(4,)``, or None if no box is finite and of a permitted shape.
    """
    boxes = boxes_xywh.copy()
    with np.errstate(invalid="ignore"):
        boxes[:, 2:] = np.maximum(boxes[:, 2:], 1)
        ratio = boxes[:, 2] / boxes[:, 3]
        kept = (ratio < max_aspect_ratio) & (ratio > 1 / max_aspect_ratio)
    kept &= np.isfinite(boxes).all(axis=1) & np.isfinite(overlaps)
    boxes, overlaps = boxes[kept], overlaps[kept]
    if not len(boxes):
        return None
    return boxes[np.argsort(-overlaps, kind="stable")[:best]].mean(axis=0)
