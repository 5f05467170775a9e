"""Heat maps of target centres, on which centre heads learn where a target is."""

from __future__ import annotations

import torch
from torch import Tensor


def corner_radius(size_wh: Tensor, min_overlap: float = 0.7) -> Tensor:
    """How far the centre may be off, in cells, in the form that CornerNet's code has and its successors kept.

    The derivation asks for the smallest of three roots of quadratic equations; the code divides all of them by 2 in
    place of twice the leading coefficient. Then the third root is the smallest for every size, and nets are trained
    with it.

    Args:
        size_wh: ``(..., 2)`` in cells, not negative.
        min_overlap: IoU that a box with displaced corners keeps, in (0, 1).

    Returns:
        ``(...)``, not rounded.
    """
    keep, shrink = min_overlap, 1 - min_overlap
    sides, area = size_wh.sum(dim=-1), size_wh.prod(dim=-1)
    return (4 * keep * (keep * sides.square() + 4 * shrink * area)).sqrt() / 2 - keep * sides


def centre_heatmap(boxes_cxcywh: Tensor, map_size: tuple[int, int]) -> Tensor:
    """A Gaussian around the cell of each target's centre (CenterNet, Section 3), cut off at its radius.

    Args:
        boxes_cxcywh: ``(B, 4)`` in fractions of the map's sides.
        map_size: ``(h, w)`` in cells.

    Returns:
        ``(B, 1, h, w)`` in [0, 1], exactly 1 in the cell that is nearest to the centre; a centre outside the map leaves
        what reaches into it.
    """
    h, w = map_size
    cells = boxes_cxcywh * boxes_cxcywh.new_tensor([w, h, w, h])
    radius = corner_radius(cells[:, 2:]).floor()[:, None, None]
    peak = cells[:, :2].round()
    dx = torch.arange(w, dtype=cells.dtype, device=cells.device) - peak[:, :1]
    dy = torch.arange(h, dtype=cells.dtype, device=cells.device) - peak[:, 1:]
    sigma = (2 * radius + 1) / 6
    heat = torch.exp(-(dy.square()[:, :, None] + dx.square()[:, None, :]) / (2 * sigma.square()))
    near = (dy.abs()[:, :, None] <= radius) & (dx.abs()[:, None, :] <= radius)
    return torch.where(near, heat, 0.0).unsqueeze(1)
