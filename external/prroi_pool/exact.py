"""Precise RoI pooling in PyTorch operations: exact, on any device, differentiable to any order.

The integral of a bilinearly interpolated map over an axis-parallel bin is separable: a bin's value is
``wy F wx^T``, where ``wx[i]`` is the mean of the hat function of pixel ``i`` over the bin's extent in x
("Acquisition of Localization Confidence for Accurate Object Detection", ECCV 2018, Eq. 7, divided by the area).
"""

from __future__ import annotations

import torch
from torch import Tensor

# Rows of RoIs handled at once are limited so that no intermediate result has more elements than this (256 MB).
CHUNK_ELEMENTS = 1 << 26


def hat_integral(t: Tensor) -> Tensor:
    """Integral of the hat function ``max(0, 1 - |s|)`` from minus infinity to ``t``; in [0, 1].

    Written so that automatic differentiation gives exactly ``max(0, 1 - |t|)``, also where ``t`` is -1, 0 or 1,
    which edges on whole pixels are. A sum of clamped squares would give twice that there.
    """
    u = t.clamp(-1.0, 1.0)
    return 0.5 + u - 0.5 * u * u.abs()


def bin_weights(low: Tensor, high: Tensor, bins: int, pixels: int) -> Tensor:
    """Mean of every pixel's hat function over every bin.

    Args:
        low: ``(...)`` first edge of the box in cells of the map; cell ``i`` is centred on the coordinate ``i``.
        high: ``(...)`` last edge. A box with ``high <= low`` is empty.
        bins: number of equal bins.
        pixels: cells of the map along this axis.

    Returns:
        ``(..., bins, pixels)`` weights, each row with a sum of at most 1; rows of empty boxes are 0, and so are
        their derivatives.
    """
    size = (high - low).clamp(min=0) / bins
    steps = torch.arange(bins + 1, dtype=low.dtype, device=low.device)
    edges = low[..., None] + size[..., None] * steps
    cells = torch.arange(pixels, dtype=low.dtype, device=low.device)
    integral = hat_integral(edges[..., None] - cells)
    filled = size > 0
    scale = filled.to(low.dtype) / torch.where(filled, size, torch.ones_like(size))
    return (integral[..., 1:, :] - integral[..., :-1, :]) * scale[..., None, None]


def axis_weights(low: Tensor, high: Tensor, scale: float, bins: int, pixels: int, like: Tensor) -> Tensor:
    """:func:`bin_weights` of boxes in image units, computed in float64, in the working precision of ``like``.

    In float32 a box of a cell's size would be wrong in the fifth digit. Devices without float64 (MPS) get their
    weights, which are few, from the CPU.
    """
    home = torch.device("cpu") if like.device.type == "mps" else like.device
    low, high = (edge.to(home, torch.float64) * scale for edge in (low, high))
    return bin_weights(low, high, bins, pixels).to(like.device, working_dtype(like))


def working_dtype(features: Tensor) -> torch.dtype:
    """float64 for float64 features, float32 for all others: half precision would round the weights too much."""
    return torch.float64 if features.dtype == torch.float64 else torch.float32


def pool_exact(features: Tensor, rois: Tensor, pooled_height: int, pooled_width: int, spatial_scale: float) -> Tensor:
    """The pooling of :func:`prroi_pool.prroi_pool2d`, without its checks."""
    images, channels, height, width = features.shape
    size = (pooled_height, pooled_width)
    if images == 1:
        per_roi = channels * max(height * pooled_width, pooled_height * pooled_width)
    else:
        per_roi = channels * height * width
    limit = max(1, CHUNK_ELEMENTS // max(per_roi, 1))
    if torch.compiler.is_compiling() or rois.shape[0] <= limit:
        return _pool_rois(features, rois, size, spatial_scale)
    return torch.cat([_pool_rois(features, part, size, spatial_scale) for part in rois.split(limit)])


def _pool_rois(features: Tensor, rois: Tensor, size: tuple[int, int], scale: float) -> Tensor:
    images, channels = features.shape[:2]
    if images == 1:
        per_image, boxes = features, rois[None, :, 1:]
    elif _is_image_by_image(rois, images):
        per_image, boxes = features, rois[:, 1:].unflatten(0, (images, -1))
    else:
        per_image, boxes = features.index_select(0, rois[:, 0].long()), rois[:, None, 1:]
    pooled = _pool_boxes(per_image, boxes, size, scale)
    return pooled.reshape(rois.shape[0], channels, *size)


def _is_image_by_image(rois: Tensor, images: int) -> bool:
    """Whether all images have the same number of RoIs, in order: then no map has to be copied per RoI.

    Asked only where the answer costs no synchronisation and may depend on values.
    """
    count = rois.shape[0]
    if rois.device.type != "cpu" or not values_can_be_read(rois) or count == 0 or count % images:
        return False
    ordered = torch.arange(images, dtype=rois.dtype).repeat_interleave(count // images)
    return torch.equal(rois[:, 0].detach(), ordered)


def values_can_be_read(tensor: Tensor) -> bool:
    """Whether Python may look at values: not while a graph is traced, nor inside ``torch.func`` transforms."""
    return not (
        torch.compiler.is_compiling()
        or torch.onnx.is_in_onnx_export()
        or torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    )


def _pool_boxes(features: Tensor, boxes: Tensor, size: tuple[int, int], scale: float) -> Tensor:
    """Pools ``(N, C, H, W)`` at ``(N, K, 4)`` boxes ``[x0, y0, x1, y1]``; ``(N, K, C, ph, pw)``."""
    images, channels, height, width = features.shape
    x0, y0, x1, y1 = boxes.unbind(-1)
    wx = axis_weights(x0, x1, scale, size[1], width, features)
    wy = axis_weights(y0, y1, scale, size[0], height, features)
    with torch.autocast(features.device.type, enabled=False):
        maps = features.to(wx.dtype).reshape(images, channels * height, width)
        rows = maps @ wx.flatten(1, 2).transpose(1, 2)
        rows = rows.reshape(images, channels, height, -1, size[1]).permute(0, 3, 2, 1, 4).flatten(3)
        pooled = (wy @ rows).unflatten(3, (channels, size[1])).transpose(2, 3)
    return pooled.to(features.dtype)


def pool_grid_exact(
    features: Tensor,
    x0: Tensor,
    y0: Tensor,
    roi_size: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> Tensor:
    """The pooling of :func:`prroi_pool.prroi_pool_grid`, without its checks."""
    height, width = features.shape[2:]
    roi_width, roi_height = roi_size[:, :1], roi_size[:, 1:]
    wx = axis_weights(x0, x0 + roi_width, spatial_scale, pooled_width, width, features)
    wy = axis_weights(y0, y0 + roi_height, spatial_scale, pooled_height, height, features)
    with torch.autocast(features.device.type, enabled=False):
        columns = features.to(wx.dtype) @ wx.flatten(1, 2).transpose(1, 2)[:, None]
        pooled = wy.flatten(1, 2)[:, None] @ columns
    pooled = pooled.unflatten(3, (-1, pooled_width)).unflatten(2, (-1, pooled_height))
    return pooled.permute(0, 2, 4, 1, 3, 5).to(features.dtype)
