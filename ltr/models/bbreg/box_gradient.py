"""Precise RoI pooling of a few boxes, and its gradient in the boxes, without automatic differentiation.

A pooled bin is a weighted sum of the map's cells, and the weight of a cell is the product of the mean of its hat
function over the bin in x and the same in y. Moving an edge of a bin changes the integral by the map's line under the
edge, so the derivative of a weight has closed form ("Acquisition of Localization Confidence for Accurate Object
Detection", ECCV 2018, Eq. 7 and 8). Where they are compiled, the pooling operators do this; else pooling is one matrix
product, ``weights (bins, cells) @ map (cells, C)``, and so is the way back, ``gradient (bins, C) @ map^T (C, cells)``,
whose result meets the derivatives of the weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ltr.ops.rois import rois_of
from prroi_pool import compiled, prroi_pool2d


class BoxPool:
    """Boxes pooled from maps of several levels, with the way back to their coordinates.

    Attributes:
        values: for each level ``(B, N, C, bins, bins)``, in the dtype of the boxes.

    Args:
        levels: maps ``(B, C, h, w)``.
        boxes_xywh: ``(B, N, 4)`` float32 or float64 boxes in image pixels.
        bins: for each level, bins of a box in y and in x.
        scales: for each level, cells per image pixel.
        backend: ``compiled``, ``exact``, or ``auto`` for the first that is there.
    """

    values: list[Tensor]

    def __init__(
        self,
        levels: Sequence[Tensor],
        boxes_xywh: Tensor,
        bins: Sequence[int],
        scales: Sequence[float],
        backend: str = "auto",
    ) -> None:
        self._scales = scales
        self._exact: list[_ExactPool] = []
        if backend == "exact" or (backend == "auto" and not all(compiled.serves(level) for level in levels)):
            self._exact = [
                _ExactPool(level, boxes_xywh, size, scale)
                for level, size, scale in zip(levels, bins, scales, strict=True)
            ]
            self.values = [pool.values for pool in self._exact]
            return
        self._rois = rois_of(boxes_xywh)
        self._levels = [level.to(boxes_xywh.dtype).contiguous() for level in levels]
        self.values = [
            prroi_pool2d(level, self._rois, size, size, scale, backend=backend, check_values=False).unflatten(
                0, boxes_xywh.shape[:2]
            )
            for level, size, scale in zip(self._levels, bins, scales, strict=True)
        ]

    def box_gradient(self, gradients: Sequence[Tensor]) -> Tensor:
        """Chain rule from the bins to the boxes.

        Args:
            gradients: for each level ``(B, N, C, bins, bins)`` in the bins.

        Returns:
            ``(B, N, 4)`` in x, y, w and h, the sum over the levels.
        """
        if self._exact:
            parts = [pool.box_gradient(gradient) for pool, gradient in zip(self._exact, gradients, strict=True)]
            return torch.stack(parts).sum(0)
        backward = torch.ops.prroi_pool.pool_backward_rois
        corners = [
            backward(gradient.flatten(0, 1).contiguous(), level, self._rois, scale)
            for gradient, level, scale in zip(gradients, self._levels, self._scales, strict=True)
        ]
        first, last = torch.stack(corners).sum(0)[:, 1:].split(2, 1)  # a box's first corner moves its last one, too
        return torch.cat([first + last, last], 1).unflatten(0, gradients[0].shape[:2])


class _ExactPool:
    """One level in PyTorch operations."""

    def __init__(self, features: Tensor, boxes_xywh: Tensor, bins: int, scale: float) -> None:
        self._bins, self._scale = bins, scale
        # float64 here: in float32 a box of a cell's size would be wrong in the fifth digit.
        boxes = boxes_xywh.double() * scale
        top, bottom, left, right = _window(boxes, features)
        cells = torch.arange(max(features.shape[-2:]), dtype=boxes.dtype, device=boxes.device)
        x, y, w, h = boxes.unbind(-1)
        self._x = [part.to(boxes_xywh.dtype) for part in axis_weights(x, w, bins, cells[left:right])]
        self._y = [part.to(boxes_xywh.dtype) for part in axis_weights(y, h, bins, cells[top:bottom])]
        self._map = features[:, :, top:bottom, left:right].to(boxes_xywh.dtype).flatten(2)
        weights = self._y[0][:, :, :, None, :, None] * self._x[0][:, :, None, :, None, :]
        values = weights.flatten(4).flatten(1, 3) @ self._map.transpose(1, 2)
        self.values = values.unflatten(1, (-1, bins, bins)).permute(0, 1, 4, 2, 3)

    def box_gradient(self, gradient: Tensor) -> Tensor:
        weight_x, x_in_low, x_in_length = self._x
        weight_y, y_in_low, y_in_length = self._y
        seen = gradient.permute(0, 1, 3, 4, 2).flatten(1, 3) @ self._map
        seen = seen.reshape(*weight_y.shape[:3], self._bins, weight_y.shape[3], weight_x.shape[3])
        in_rows = (seen * weight_y[:, :, :, None, :, None]).sum((2, 4))
        in_columns = (seen * weight_x[:, :, None, :, None, :]).sum((3, 5))
        parts = [in_rows * x_in_low, in_columns * y_in_low, in_rows * x_in_length, in_columns * y_in_length]
        return torch.stack([part.sum((2, 3)) for part in parts], -1) * self._scale


def axis_weights(low: Tensor, length: Tensor, bins: int, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of the cells along an axis, and their derivatives in the box's start and length.

    Args:
        low: ``(...)`` start of the boxes in cells.
        length: ``(...)`` their length in cells. A box with ``length <= 0`` is empty: all its weights are 0.
        bins: bins of a box.
        cells: ``(n,)`` coordinates of the cells.

    Returns:
        three tensors ``(..., bins, n)``: the mean of the hat functions over the bins, its derivative in ``low``, and in
        ``length``.
    """
    size = (length.clamp(min=0) / bins)[..., None, None]
    knots = torch.arange(bins + 1, dtype=low.dtype, device=low.device)[:, None]
    offset = low[..., None, None] + size * knots - cells
    near = offset.clamp(-1.0, 1.0)
    integral = near - 0.5 * near * near.abs()  # of the hat function, up to a constant
    hat = (1 - offset.abs()).clamp(min=0)
    filled = size > 0
    inverse = filled.to(low.dtype) / torch.where(filled, size, torch.ones_like(size))
    mean = integral.diff(dim=-2) * inverse
    in_length = ((hat * knots).diff(dim=-2) - mean) * inverse / bins
    return mean, hat.diff(dim=-2) * inverse, in_length


def _window(boxes: Tensor, features: Tensor) -> tuple[int, int, int, int]:
    """Rows and columns of the map that any box touches; all of them where asking would synchronise a device."""
    height, width = features.shape[-2:]
    traced = torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export()
    if boxes.device.type != "cpu" or not boxes.numel() or traced:
        return 0, height, 0, width
    low, high = boxes[..., :2].flatten(0, -2).amin(0), (boxes[..., :2] + boxes[..., 2:]).flatten(0, -2).amax(0)
    if not bool((low + high).isfinite().all()):
        return 0, height, 0, width
    (x0, y0), (x1, y1) = low.floor().tolist(), high.ceil().tolist()
    left, top = (int(min(max(edge, 0), size - 1)) for edge, size in ((x0, width), (y0, height)))
    right, bottom = (int(min(max(edge + 1, 1), size)) for edge, size in ((x1, width), (y1, height)))
    return top, max(bottom, top + 1), left, max(right, left + 1)
