"""Precise RoI pooling together with its derivative in the box, without automatic differentiation.

A pooled bin is ``wy F wx^T`` with the mean of every cell's hat function over the bin, ``wx`` in x and ``wy`` in y.
Moving a bin's edge changes the integral by the line of the map under that edge, so that the derivatives are of the same
form, with ``wx`` replaced by differences of hat functions at the bin's edges ("Acquisition of Localization Confidence
for Accurate Object Detection", ECCV 2018, Eq. 8).
"""

from __future__ import annotations

import torch
from torch import Tensor

from prroi_pool.exact import hat_integral


def axis_weights_with_derivative(low: Tensor, length: Tensor, bins: int, pixels: int) -> Tensor:
    """Weights of the cells along an axis, and their derivatives in the box's start and length.

    Args:
        low: ``(...)`` start of the boxes in cells.
        length: ``(...)`` their length in cells. A box with ``length <= 0`` is empty: all its weights are 0.
        bins: bins of a box.
        pixels: cells of the map along the axis.

    Returns:
        ``(..., 3, bins, pixels)``: the mean of the hat functions over the bins, its derivative in ``low``, and in
        ``length``.
    """
    size = (length.clamp(min=0) / bins)[..., None, None]
    knots = torch.arange(bins + 1, dtype=low.dtype, device=low.device)[:, None]
    cells = torch.arange(pixels, dtype=low.dtype, device=low.device)
    offset = low[..., None, None] + size * knots - cells
    integral = hat_integral(offset)
    hat = (1 - offset.abs()).clamp(min=0)
    filled = size > 0
    inverse = filled.to(low.dtype) / torch.where(filled, size, torch.ones_like(size))
    mean = (integral[..., 1:, :] - integral[..., :-1, :]) * inverse
    in_low = (hat[..., 1:, :] - hat[..., :-1, :]) * inverse
    lever = hat * knots
    in_length = ((lever[..., 1:, :] - lever[..., :-1, :]) * inverse - mean * inverse) / bins
    return torch.stack([mean, in_low, in_length], -3)


def pool_with_box_derivative(features: Tensor, boxes_xywh: Tensor, bins: int, scale: float) -> tuple[Tensor, Tensor]:
    """Pools boxes and differentiates the bins in the boxes.

    Args:
        features: ``(B, C, h, w)``.
        boxes_xywh: ``(B, N, 4)`` in image pixels.
        bins: bins of a box in y and in x.
        scale: cells per image pixel.

    Returns:
        the pooled values ``(B, N, C, bins, bins)``, and their derivatives in x, y, w and h,
        ``(B, N, 4, C, bins, bins)``.
    """
    batch, channels, height, width = features.shape
    x, y, w, h = (boxes_xywh.double() * scale).unbind(-1)
    in_x = axis_weights_with_derivative(x, w, bins, width).to(features.dtype)
    in_y = axis_weights_with_derivative(y, h, bins, height).to(features.dtype)
    rows = in_y.flatten(1, 3) @ features.permute(0, 2, 3, 1).reshape(batch, height, width * channels)
    rows = rows.reshape(batch, -1, 3, bins, width, channels)
    columns = in_x[:, :, :, None] @ rows[:, :, 0:1].expand(-1, -1, 3, -1, -1, -1)  # (B, N, 3, by, bx, C)
    lines = in_x[:, :, :1, None] @ rows[:, :, 1:]
    derivative = torch.stack([columns[:, :, 1], lines[:, :, 0], columns[:, :, 2], lines[:, :, 1]], 2) * scale
    return columns[:, :, 0].permute(0, 1, 4, 2, 3), derivative.permute(0, 1, 2, 5, 3, 4)


def project_box_derivative(gradient: Tensor, derivative: Tensor) -> Tensor:
    """Chain rule: ``(B, N, C, b, b)`` gradient in the bins and ``(B, N, 4, C, b, b)`` derivatives to ``(B, N, 4)``."""
    return (gradient[:, :, None] * derivative).sum((3, 4, 5))
