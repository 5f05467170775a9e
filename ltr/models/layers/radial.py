"""Functions of the distance to the target's centre, learned as piecewise linear curves (DiMP Eq. 6 and 7)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def centre_distance(boxes_xywh: Tensor, size_hw: tuple[int, int], stride: float, offset: float) -> Tensor:
    """Distance of every cell of a map from the centre of the target.

    Args:
        boxes_xywh: ``(..., 4)`` target boxes in crop pixels.
        size_hw: cells of the map in y and x.
        stride: crop pixels per cell.
        offset: cells that the map's origin lies behind the crop's.

    Returns:
        ``(..., h, w)`` distances in cells.
    """
    centre = (boxes_xywh[..., :2] + boxes_xywh[..., 2:] / 2) / stride - offset
    rows = torch.arange(size_hw[0], dtype=centre.dtype, device=centre.device)
    columns = torch.arange(size_hw[1], dtype=centre.dtype, device=centre.device)
    dy = rows - centre[..., 1:]
    dx = columns - centre[..., :1]
    return (dy.square()[..., :, None] + dx.square()[..., None, :]).sqrt()


class RadialFunction(nn.Module):
    """A piecewise linear function of a distance: triangular basis functions times their coefficients.

    The basis functions are never built: between two knots the sum over all of them is a straight line.

    Args:
        coefficients: ``(N,)`` initial values at the knots ``0, step, .. (N - 1) step``; constant behind the last.
        step: distance of the knots.
    """

    def __init__(self, coefficients: Tensor, step: float) -> None:
        super().__init__()
        self.step = step
        self.weight = nn.Parameter(coefficients.reshape(1, -1, 1, 1).clone())

    def forward(self, distance: Tensor) -> Tensor:
        """Values at non-negative distances, of the same shape."""
        table = self.weight.flatten()
        position = (distance / self.step).to(table.dtype)
        knot = position.detach().floor().clamp_(max=table.numel() - 2)
        share = (position - knot).clamp(max=1.0)
        index = knot.long()
        low = table[index]
        return low + share * (table[index + 1] - low)
