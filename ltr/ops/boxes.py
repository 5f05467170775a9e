"""Overlap of boxes and changes of their coordinates. Shapes are ``(..., 4)``; nothing is clipped or checked."""

from __future__ import annotations

import torch
from torch import Tensor


def box_iou(first_xywh: Tensor, second_xywh: Tensor) -> Tensor:
    """Intersection over union, box by box.

    Args:
        first_xywh: ``(..., 4)`` with continuous edges: a box covers ``[x, x + w) x [y, y + h)``.
        second_xywh: ``(..., 4)``, broadcast against the first.

    Returns:
        ``(...)`` in [0, 1]; not finite for two boxes without area at one place.
    """
    top_left = torch.maximum(first_xywh[..., :2], second_xywh[..., :2])
    bottom_right = torch.minimum(
        first_xywh[..., :2] + first_xywh[..., 2:], second_xywh[..., :2] + second_xywh[..., 2:]
    )
    intersection = (bottom_right - top_left).clamp(min=0).prod(dim=-1)
    return intersection / (first_xywh[..., 2:].prod(dim=-1) + second_xywh[..., 2:].prod(dim=-1) - intersection)


def xywh_to_xyxy(boxes: Tensor) -> Tensor:
    """``[x, y, w, h]`` to ``[x0, y0, x1, y1]``."""
    return torch.cat([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], dim=-1)


def xyxy_to_xywh(boxes: Tensor) -> Tensor:
    """``[x0, y0, x1, y1]`` to ``[x, y, w, h]``."""
    return torch.cat([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], dim=-1)


def xywh_to_cxcywh(boxes: Tensor) -> Tensor:
    """``[x, y, w, h]`` to centre and size."""
    return torch.cat([boxes[..., :2] + 0.5 * boxes[..., 2:], boxes[..., 2:]], dim=-1)


def cxcywh_to_xywh(boxes: Tensor) -> Tensor:
    """Centre and size to ``[x, y, w, h]``."""
    return torch.cat([boxes[..., :2] - 0.5 * boxes[..., 2:], boxes[..., 2:]], dim=-1)


def xywh_to_relative(boxes: Tensor, unit_wh: Tensor | None = None) -> Tensor:
    """``[x, y, w, h]`` to ``[cx / w0, cy / h0, ln w, ln h]``, in which a step means the same for boxes of any size.

    Args:
        boxes: ``(..., 4)`` with positive sizes.
        unit_wh: ``(..., 2)``, the size ``(w0, h0)`` that centres are measured in; ``None``: the boxes' own.
    """
    unit = boxes[..., 2:] if unit_wh is None else unit_wh
    return torch.cat([(boxes[..., :2] + 0.5 * boxes[..., 2:]) / unit, boxes[..., 2:].log()], dim=-1)


def relative_to_xywh(boxes: Tensor, unit_wh: Tensor | None = None) -> Tensor:
    """The inverse of :func:`xywh_to_relative` with the same ``unit_wh``."""
    size = boxes[..., 2:].exp()
    unit = size if unit_wh is None else unit_wh
    return torch.cat([boxes[..., :2] * unit - 0.5 * size, size], dim=-1)
